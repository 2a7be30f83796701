"""How do two runs write, step by step? Where they part, and how unlikely A's token was for B."""

import html
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import InlookError
from model_hooks.read.between import Apart, apart
from model_hooks.read.choice import surprisals
from model_hooks.read.recorded import tokens_of
from model_hooks.write.writing import write_token
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.pair import is_one_vocabulary, of_pair, runs
from pages.ask.session import prompt_ids
from pages.generation.choices import Choices
from pages.state.view import Selection
from pages.state.visit import looking_at, part, put, view
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.download import csv_button
from pages.widgets.heading import heading
from viz.numbers import bits, counted, percent

HELP = (
    "One press writes the next token of both. With **its own choice**, each goes its own way; with "
    "**A's token**, B is made to write what A wrote, so that you see what B thinks of it. "
    "Probabilities are the models' own, before temperature and filters."
)
WAYS = {"own": "its own choice", "of_a": "A's token"}
MANY = 10
N_ROWS = 40
"""Steps in the table, the newest."""

_write_token = computed(write_token, keep=False)
_surprisals = computed(surprisals)
_apart = computed(apart)
_tokens_of = computed(tokens_of)


class Row(NamedTuple):
    """One step of both: tokens for people, None where one has not written it."""

    step: int
    a: str | None
    b: str | None
    same: bool
    p_a: float | None
    """A's own probability of its token."""
    p_b: float | None
    a_for_b: float | None
    """B's probability of A's token, after B's own text."""


def draw() -> None:
    """Draw the buttons that write both, and the table of all steps.

    Raises:
        InlookError: A cannot be run.
    """
    heading("Both, step by step", help=HELP)
    one_vocabulary = is_one_vocabulary()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("Step both", key="generation.both", icon=":material/play_arrow:", on_click=step)
        st.button(
            f"{MANY} steps",
            key="generation.both_many",
            icon=":material/fast_forward:",
            on_click=step,
            args=(MANY,),
        )
        bind(
            st.segmented_control,
            "B writes",
            "generation.follows",
            options=[*WAYS],
            format_func=WAYS.__getitem__,
            required=True,
            disabled=not one_vocabulary,
        )
    if not one_vocabulary:
        st.caption(
            "A and B have different vocabularies: B cannot be made to write A's tokens, nor say "
            "how probable they are."
        )
    rows = rows_of_both(one_vocabulary)
    if not rows:
        st.caption("Nothing is written yet: press **Step both**.")
        return
    st.markdown(sentence(rows))
    st.html(table_html(rows[-N_ROWS:]))
    csv_button(lambda: pd.DataFrame(rows), "steps_a_b")


def step(n_steps: int = 1) -> None:
    """Write the next tokens of both, or of whichever has fewer; a callback."""
    pinned = view().pinned
    if pinned is None:
        return
    follows = part(Choices).follows == "of_a"
    n_of_b = len(view().written)
    try:
        for _ in range(n_steps):
            if len(pinned.written) <= n_of_b:
                pinned = replace(pinned, written=(*pinned.written, _next_of_a(pinned)))
            if n_of_b < len(pinned.written):
                writing.step_forward(choose=pinned.written[n_of_b] if follows else None)
                n_of_b += 1
    except InlookError as error:
        writing.PROBLEM.leave(f"Run A: {error}")
    put({"pinned": pinned}, now=not writing.moves_wait())


def rows_of_both(one_vocabulary: bool) -> list[Row]:
    """Return all steps that either has written."""
    a, b = runs()
    (n_a, own_a), (n_b, own_b) = _begins()
    texts = [_tokens_of(one.model_name, one.token_ids) for one in (a, b)]
    n_both = min(len(a.token_ids) - n_a, len(b.token_ids) - n_b)
    found: Apart | None = None
    if one_vocabulary and n_both > 0:
        pairs = tuple((n_a - 1 + i, n_b - 1 + i) for i in range(n_both))
        found = of_pair(_apart, pairs)
    bits_a, bits_b = _surprisals(*a).bits, _surprisals(*b).bits
    rows = []
    for i in range(max(len(own_a), len(own_b))):
        at_a, at_b = n_a + i, n_b + i
        is_a, is_b = at_a < len(texts[0]), at_b < len(texts[1])
        rows.append(
            Row(
                i + 1,
                visible(texts[0][at_a]) if is_a else None,
                visible(texts[1][at_b]) if is_b else None,
                is_a and is_b and own_a[i] == own_b[i] and one_vocabulary,
                float(2 ** -bits_a[at_a]) if is_a else None,
                float(2 ** -bits_b[at_b]) if is_b else None,
                float(2 ** -found.surprise[0, 1, i]) if found is not None and i < n_both else None,
            )
        )
    return rows


def sentence(rows: list[Row]) -> str:
    """Say where both part, and how unlikely A's token was there for B (Markdown)."""
    parted = next((row for row in rows if row.a and row.b and not row.same), None)
    if parted is None:
        n_same = sum(row.same for row in rows)
        return f"A and B have written the same {counted(n_same, 'token')} so far." if n_same else ""
    a, b = (f"**{escape_markdown(token or '')}**" for token in (parted.a, parted.b))
    said = f"They part at **step {parted.step}**: A wrote {a}, B {b}."
    if parted.a_for_b is not None:
        surprise = bits(-float(np.log2(max(parted.a_for_b, 1e-300))))
        said += f" For B, A's token had {percent(parted.a_for_b)} ({surprise})."
    return said


def table_html(rows: list[Row]) -> str:
    """Write the steps as a table; whatever a token is called is shown as it stands."""
    heads = ("Step", "A wrote", "its probability", "B wrote", "its probability", "A's token for B")
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    body = "".join(
        f"<tr class='{'' if row.same else 'chosen'}'><th scope='row'>{row.step}"
        f"{'' if row.same or row.a is None or row.b is None else ' ≠'}</th>"
        f"<td>{_code(row.a)}</td><td>{_share(row.p_a)}</td><td>{_code(row.b)}</td>"
        f"<td>{_share(row.p_b)}</td><td>{_share(row.a_for_b)}</td></tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='stages'>{table}</div>"


def _begins() -> tuple[tuple[int, tuple[int, ...]], tuple[int, tuple[int, ...]]]:
    """Of A and of B, how many tokens the prompt has, and which were written after it."""
    pinned, own = view().pinned, (len(prompt_ids()), view().written)
    assert pinned is not None, "nothing is pinned"
    with looking_at(pinned):
        return (len(prompt_ids()), pinned.written), own


def _next_of_a(pinned: Selection) -> int:
    """Write one more token of A; return its ID."""
    with looking_at(pinned):
        of_a = view()
        text = of_a.model, prompt_ids(), of_a.written
        return _write_token(*text, of_a.decoding, of_a.use_cache, of_a.interventions).token_id


def _code(token: str | None) -> str:
    return "" if token is None else f"<code>{html.escape(token)}</code>"


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)
