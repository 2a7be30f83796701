"""What does one token read? Every token shaded by its weight, and lines between them."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks.host import Run
from model_hooks.read.heads import weights_of_query
from pages.ask.computed import computed
from pages.attention.matrix import Shown, name_of
from pages.state.visit import put
from pages.text import escape_markdown, visible
from pages.widgets import quantity
from pages.widgets.components import head_lines, rows_to_send, token_strip
from pages.widgets.controls import current_position, pick_position
from pages.widgets.heading import heading
from pages.widgets.quantity import ATTENTION
from viz.numbers import percent

MAX_LINE_TOKENS = 96
"""Lines between more tokens than this cannot be followed by eye."""
LEAST_DRAWN = 0.02
"""Weights below it get no line, unless half of the strongest one is less."""

_weights_of_query = computed(weights_of_query)


def draw(
    asked: Run, tokens: Sequence[str], shown: Shown, span: slice, layer: int, head: int | None
) -> int:
    """Draw what one query reads; return its position."""
    heading("One query")
    name = name_of(layer, head)
    query, shares, start = current_position(len(tokens)), shown.shares, shown.start
    drawn, row = tokens[start : start + len(shares)], query - start
    token_strip(
        drawn,
        key="attention_tokens",
        selected=row,
        rows=shares,
        start=start,
        on_pick=lambda picked: put(pos=start + picked),
        label=f"What {name} reads from one query",
    )
    known = rows_to_send(len(drawn), row)
    if len(known) < len(drawn):
        st.caption(
            f"Point at one of the tokens {start + known.start} to {start + known.stop - 1} to see "
            "what it reads; click any other to go there."
        )
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pick_position(tokens, label="Query token")
    labels = [visible(token) for token in tokens]
    of = (layer, head) if shown.measure == "attention weight" else (shown.measure, layer, head)
    if len(drawn) == len(tokens):
        in_words.markdown(summary(labels, shares[query], query, of))
    else:
        rows = _weights_of_query(*asked, layer, query)
        reads = rows.mean(0) if head is None else rows[head]
        there = float(reads[start:].sum())
        in_words.markdown(
            f"{summary(labels, reads, query, (layer, head))} Of all that it reads, "
            f"{percent(there)} lies in the tokens that are shown."
        )
    if shown.measure == "size":
        st.caption("Here and below: each key's share of all sizes in the query's row.")
    _lines(tokens, shown, lines_span(span, query), query, name)
    return query


def _lines(tokens: Sequence[str], shown: Shown, span: slice, query: int, name: str) -> None:
    shares, start = shown.shares, shown.start
    inside = slice(span.start - start, span.stop - start)
    row = np.zeros(len(tokens), shares.dtype)
    row[start : start + len(shares)] = shares[query - start]
    if note := lines_note(span, query, row, len(tokens)):
        st.caption(note)
    head_lines(
        tokens[span],
        shares[inside, inside],
        key="attention_lines",
        start=span.start,
        selected=query - span.start,
        threshold=min(LEAST_DRAWN, 0.5 * float(row.max())),
        on_pick=lambda pos: put(pos=span.start + pos),
        label=f"What {name} reads from each query",
    )


def summary(
    labels: Sequence[str],
    row: Float[np.ndarray, "pos"],
    query: int,
    of: tuple[object, ...],
) -> str:
    """Say in one sentence what a query reads most; `of` says in which layer and head."""
    reader = f":blue[{escape_markdown(labels[query])}] (token {query})"
    strongest = [key for key in np.argsort(-row, kind="stable")[:3] if row[key] > 0]
    if not strongest:
        return f"{reader} reads from nothing but the first token, which is hidden."
    read = []
    for key in strongest:
        token = f":orange[{escape_markdown(labels[key])}] (token {key})"
        weight = quantity.shown(ATTENTION, float(row[key]), *of, query, int(key))
        read.append(f"{'itself' if key == query else token}, {weight}")
    return f"{reader} reads most from " + "; then from ".join(read) + "."


def lines_span(span: slice, query: int) -> slice:
    """Return the tokens to draw lines for: at most `MAX_LINE_TOKENS`, up to the query."""
    last = max(min(span.stop, query + 1), min(span.start + MAX_LINE_TOKENS, span.stop))
    return slice(max(span.start, last - MAX_LINE_TOKENS), last)


def lines_note(span: slice, query: int, row: Float[np.ndarray, "pos"], n_tokens: int) -> str | None:
    """Say what the lines leave out of a long text."""
    if span == slice(0, n_tokens):
        return None
    note = f"Lines are drawn among tokens {span.start} to {span.stop - 1}."
    if span.start <= query < span.stop:
        note += f" Of what the query reads, {percent(row[span].sum())} lies there."
    return note
