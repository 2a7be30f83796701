"""What the components send to the browser: exact, small, and the same after a click."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.text import escape_markdown, visible


def strip(tokens, selected):
    import streamlit as st

    from pages.widgets.components import token_strip

    st.session_state["got"] = token_strip(tokens, key="strip", selected=selected)


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
