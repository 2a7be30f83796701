"""What the Attention page shows, worked out from the trace: the long helpers of that page.

Not named `_attention.py`: Streamlit would take the two for one address.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool, Float, UInt8

from model_hooks import ModelInfo, Trace
from model_hooks.patterns import readable_keys, without_first_token
from pages._components import head_tiles
from pages._text import escape_markdown
from viz.attention import block_size

STREAMED_FROM = 512
"""From this many tokens on, heads are computed one by one and not kept: they fill memory."""
SPAN_FROM = 64
"""From this many tokens on, the reader may choose which of them to draw."""

MAX_LINE_TOKENS = 96
"""Lines between more tokens than this cannot be followed by eye."""

GRID_HELP = (
    "Each square is the attention pattern of one **head**. Rows are queries (the token that "
    "reads), columns are keys (the token that is read), the first token at the top left. A strong "
    "colour is a large weight. A stripe along the diagonal reads nearby tokens; a stripe down the "
    "left edge reads the first token."
)
MATRIX_HELP = (
    "Each row is one token as the **query**: it asks what to read. Each column is a token as a "
    "**key**: it can be read. A cell is the attention weight, from 0 to 1; a row's weights sum to "
    "1. Click a row to follow its token below."
)
SINK_HELP = (
    "Many heads put the weight they have no use for on the first token, the *attention sink* "
    "(Xiao et al. 2023). Hiding it brings out the rest."
)
KEEP, RESCALE = "Keep weights", "Rescale rows"


class Survey(NamedTuple):
    """All heads of one prompt at a glance."""

    layers: tuple[int, ...]
    """The layers that have attention."""
    tiles: UInt8[np.ndarray, "layer head size size"] | None


_surveys: WeakKeyDictionary[Trace, Survey] = WeakKeyDictionary()
"""Kept as long as their trace is."""


def survey(trace: Trace) -> Survey:
    """Look at every head, once per trace; shared between sessions."""
    if trace not in _surveys:
        layers = trace.attention_layers
        tiles = None
        if layers:
            with st.spinner("Looking at all heads…"):
                tiles = head_tiles(_each_layer(trace, layers), len(layers))
        _surveys[trace] = Survey(layers, tiles)
    return _surveys[trace]


def attention_of(trace: Trace, layer: int) -> Float[np.ndarray, "head pos pos"]:
    """Return a layer's attention weights; those of a long prompt are not kept in memory."""
    if len(trace) < STREAMED_FROM:
        return trace.attention(layer)
    return np.stack([trace.attention(layer, head) for head in range(trace.n_heads)])


def pattern_of(
    trace: Trace, layer: int, head: int | None
) -> tuple[Float[np.ndarray, "pos pos"], Bool[np.ndarray, "pos pos"]]:
    """Return one head's pattern (the mean of all heads if None), and what the mask lets be read."""
    if head is None or len(trace) < STREAMED_FROM:
        attention = attention_of(trace, layer)
        pattern = attention.mean(0) if head is None else attention[head]
        return pattern, readable_keys(attention)
    pattern = trace.attention(layer, head)
    return pattern, readable_keys(pattern[None])


def name_of(layer: int, head: int | None) -> str:
    """Name a head in a heading."""
    return f"Layer {layer}, mean of all heads" if head is None else f"Layer {layer}, head {head}"


def sink_switch(pattern: Float[np.ndarray, "pos pos"]) -> Float[np.ndarray, "pos pos"]:
    """Let the reader hide the first token, and say what that does to the rows."""
    hide = st.toggle(
        "Hide the first token", key="hide_sink", help=SINK_HELP, persist_state="session"
    )
    if not hide:
        return pattern
    share = float(pattern[1:, 0].mean()) if len(pattern) > 1 else 1.0
    way = st.segmented_control(
        "What remains",
        [KEEP, RESCALE],
        default=KEEP,
        required=True,
        key="hide_sink.rows",
        label_visibility="collapsed",
        persist_state="session",
    )
    if way == RESCALE:
        st.caption(
            f"Hidden: the first token, with {share:.0%} of the weight on average. What remains of "
            "each row is stretched to the sum it had."
        )
    else:
        st.caption(
            f"Hidden: the first token, with {share:.0%} of the weight on average. **Rows no "
            "longer sum to 1.**"
        )
    return without_first_token(pattern, rescale=way == RESCALE)


def pick_span(labels: Sequence[str]) -> slice:
    """Let the reader of a long prompt choose which tokens to draw."""
    last = len(labels) - 1
    if len(labels) < SPAN_FROM:
        return slice(0, last + 1)
    first, last = st.slider(
        "Tokens to draw",
        0,
        last,
        (0, last),
        key=f"attention_span.{last}",
        help="Choose fewer to see every token by itself.",
    )
    return slice(first, last + 1)


def mask_note(info: ModelInfo, layer: int) -> str:
    """Say why some cells are grey."""
    note = "Grey is masked: no token reads what comes after it"
    window = info.sliding_window[layer]
    if window:
        note += f", nor (in this layer) more than its window of {window:,} tokens, itself included"
    return note + "."


def other_layers_note(info: ModelInfo) -> str | None:
    """Name the layers of a hybrid model that have no attention."""
    others = [layer for layer in range(info.n_layers) if layer not in info.attention_layers]
    if not others:
        return None
    which = ", ".join(map(str, others))
    return (
        f"Left out, having no attention: {'layer' if len(others) == 1 else 'layers'} {which}. "
        "They carry information along the text in another way, so there is no pattern to draw."
    )


def position_of(row: int, span: slice) -> int:
    """Return the position that a row of the matrix stands for; the last one of a block."""
    block = block_size(span.stop - span.start)
    return min(span.start + (row + 1) * block, span.stop) - 1


def summary(labels: Sequence[str], row: Float[np.ndarray, "pos"], query: int) -> str:
    """Say in one sentence what a query reads most."""
    reader = f":blue[{escape_markdown(labels[query])}] (token {query})"
    strongest = [key for key in np.argsort(-row, kind="stable")[:3] if row[key] > 0]
    if not strongest:
        return f"{reader} reads from nothing but the first token, which is hidden."
    read = []
    for key in strongest:
        token = f":orange[{escape_markdown(labels[key])}] (token {key})"
        read.append(f"{'itself' if key == query else token}, {row[key]:.1%}")
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
        note += f" Of what the query reads, {row[span].sum():.0%} lies there."
    return note


def table_of(
    pattern: Float[np.ndarray, "pos pos"],
    readable: Bool[np.ndarray, "pos pos"],
    tokens: Sequence[str],
) -> pd.DataFrame:
    """Return a pattern as a table of queries, keys and weights, for download."""
    query, key = np.nonzero(readable)
    names = np.array(tokens, dtype=object)
    return pd.DataFrame(
        {
            "query": query,
            "query_token": names[query],
            "key": key,
            "key_token": names[key],
            "weight": pattern[query, key],
        }
    )


def _each_layer(trace: Trace, layers: Sequence[int]) -> Iterator[Float[np.ndarray, "head pos pos"]]:
    for layer in layers:
        yield attention_of(trace, layer)
