"""What the components send to the browser: exact, small, and the same after a click."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.text import escape_markdown, visible
from pages.widgets.components import MAX_ROW_BYTES, rows_to_send


def strip(tokens, selected):
    import streamlit as st

    from pages.widgets.components import token_strip

    st.session_state["got"] = token_strip(tokens, key="strip", selected=selected)


def strip_with_rows(n_tokens, selected):
    import numpy as np

    from pages.widgets.components import token_strip

    rows = np.tri(n_tokens, dtype=np.float32) * np.arange(1, n_tokens + 1)[:, None] / n_tokens
    token_strip(["a"] * n_tokens, key="strip", selected=selected, rows=rows)


def sent(app):
    return json.loads(app.get("bidi_component")[0].proto.json)


def test_strip_shows_spaces_and_keeps_equal_tokens():
    app = AppTest.from_function(strip, args=([" a", " a", "\n"], None)).run()
    assert not app.exception
    assert sent(app)["tokens"] == ["·a", "·a", "↵"]


@pytest.mark.parametrize("selected", [-1, 2, 99])
def test_strip_forgets_a_token_that_is_gone(selected):
    app = AppTest.from_function(strip, args=(["a", "b"], selected)).run()
    assert app.session_state["got"] is None


def test_strip_sends_the_same_data_again_when_nothing_changed():
    app = AppTest.from_function(strip, args=(["a", "b"], 1)).run()
    first = sent(app)
    assert sent(app.run()) == first


@pytest.mark.parametrize("selected", [None, 0, 1234, 1999])
@pytest.mark.parametrize("n_tokens", [3, 2000])
def test_a_strip_sends_the_looked_at_row_and_no_square(n_tokens, selected):
    selected = selected if selected is None else selected % n_tokens
    app = AppTest.from_function(strip_with_rows, args=(n_tokens, selected)).run()
    assert not app.exception
    assert len(app.get("bidi_component")[0].proto.json) < 100 * n_tokens + 1000
    rows = sent(app)["rows"]
    known = np.frombuffer(base64.b64decode(rows["bytes"]), np.uint8).reshape(-1, n_tokens)
    assert len(known) == min(n_tokens, 64)
    pos = n_tokens - 1 if selected is None else selected
    weight = (pos + 1) / n_tokens
    row = (known[pos - rows["first"]] / 255) ** 2
    np.testing.assert_allclose(row, np.where(np.arange(n_tokens) <= pos, weight, 0), atol=0.01)


@given(st.integers(1, 200_000), st.data())
def test_the_rows_of_a_strip_hold_the_selected_one_and_stay_when_it_moves_little(n_tokens, data):
    pos = data.draw(st.integers(0, n_tokens - 1))
    rows = rows_to_send(n_tokens, pos)
    assert pos in rows
    assert 0 <= rows.start < rows.stop <= n_tokens
    assert len(rows) * n_tokens <= max(MAX_ROW_BYTES, n_tokens)
    seen = {rows_to_send(n_tokens, near) for near in range(pos, min(pos + 8, n_tokens))}
    assert len(seen) <= 2 or len(rows) < 16


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" a", "·a"),
        ("\n\n", "↵↵"),
        ("\t", "⇥"),
        ("", "∅"),
        ("\x00", "⟨0⟩"),
        ("\u200d", "⟨200D⟩"),
        ("👩‍👧", "👩‍👧"),
        ("<b>", "<b>"),
        ("שלום", "שלום"),
    ],
)
def test_every_token_is_visible(token, shown):
    assert visible(token) == shown


def test_markdown_and_latex_are_escaped():
    assert escape_markdown("*a* $x$ <b>") == r"\*a\* \$x\$ \<b\>"


def test_no_chart_hides_its_toolbar():
    pages = Path(__file__).parents[3] / "pages"
    files = [*pages.rglob("*.py"), *pages.rglob("*.js")]
    assert Path(pages / "widgets/browser/chart.js") in files
    assert not [file for file in files if "displayModeBar: false" in file.read_text("utf-8")]
