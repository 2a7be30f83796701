"""How much does one head read from each token? Its matrix, in one of three measures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool, Float

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.read.heads import rollout, sizes_read
from model_hooks.read.patterns import without_first_token
from model_hooks.read.recorded import attention_window, readable_window
from pages.ask.computed import computed
from pages.attention.choices import Choices
from pages.state.visit import part, put
from pages.text import visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.controls import current_position
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.long_text import WHOLE_UP_TO, window_around
from pages.widgets.terms import term
from viz import attention_heatmap
from viz.attention import block_size
from viz.numbers import percent

SPAN_FROM = 64
"""From this many tokens on, the reader may choose which of them to draw."""
MATRIX_HELP = (
    "Each row is one token as the **query**: it asks what to read. Each column is a token as a "
    "**key**: it can be read. A cell is the attention weight, from 0 to 1; a row's weights sum to "
    "1. Click a row to follow its token below."
)
SINK_HELP = (
    "Many heads put the weight they have no use for on the first token, the *attention sink* "
    "(Xiao et al. 2023). Hiding it brings out the rest."
)
MEASURES = {
    "weight": "Attention weight",
    "size": "Weight x size of value",
    "rollout": "Rollout",
}
MEASURE_HELP = """
What the matrix shows:
- **Attention weight**: how much of each key this head takes.
- **Weight x size of value**: the size of what that adds to the query's vector, ‖a · v · W_O‖. A
  key with a large weight but a tiny value adds little (Kobayashi et al. 2020).
- **Rollout**: from which tokens of the *prompt* information can have come to each position, through
  all heads of all layers up to this one and around them (Abnar and Zuidema 2020).
"""
ROWS = {"keep": "Keep weights", "rescale": "Rescale rows"}

_attention = computed(attention_window)
_readable = computed(readable_window)
_sizes = computed(sizes_read)
_rollout = computed(rollout)


class Shown(NamedTuple):
    """What the matrix, the strip and the lines show: of a long text, a window."""

    weights: Float[np.ndarray, "row row"]
    readable: Bool[np.ndarray, "row row"]
    measure: str
    highest: float
    name: str
    start: int = 0
    """The position of the first row."""

    @property
    def shares(self) -> Float[np.ndarray, "row row"]:
        """The same from 0 to 1: sizes as parts of their row's sum, weights as they are."""
        if self.measure != "size":
            return self.weights
        total = self.weights.sum(-1, keepdims=True)
        return np.divide(self.weights, total, out=np.zeros_like(self.weights), where=total > 0)


def draw(
    asked: Run, info: ModelInfo, tokens: Sequence[str], layer: int, head: int | None
) -> tuple[Shown, slice]:
    """Draw the matrix and its controls; return what it shows, and of which tokens."""
    heading(name_of(layer, head), help=MATRIX_HELP)
    query = current_position(len(tokens))
    window = window_around(len(tokens), query)
    is_whole = window.stop - window.start == len(tokens)
    shown = _pick_measure(asked, layer, head, window, is_whole)
    shown = _hide_first(shown) if window.start == 0 else shown
    labels = [visible(token) for token in tokens]
    span = _pick_span(window)
    inside = slice(span.start - window.start, span.stop - window.start)
    figure = drawing(
        attention_heatmap,
        shown.weights[inside, inside],
        labels[span],
        readable=shown.readable[inside, inside],
        query=query,
        start=span.start,
        measure=shown.measure,
        highest=shown.highest,
    )
    chart(
        figure,
        key="attention_matrix",
        alt=f"{shown.measure}, {shown.name}",
        on_cell=lambda cell: _pick_cell(cell, span),
        view=(labels[span], shown.measure),
    )
    st.caption(mask_note(info, layer))
    csv_button(lambda: table_of(shown, tokens), "attention")
    return shown, span


def name_of(layer: int, head: int | None) -> str:
    """Name a head in a heading."""
    return f"Layer {layer}, mean of all heads" if head is None else f"Layer {layer}, head {head}"


def mask_note(info: ModelInfo, layer: int) -> str:
    """Say why some cells are grey."""
    note = "Grey is masked: no token reads what comes after it"
    window = info.sliding_window[layer]
    if window:
        note += f", nor (in this layer) more than its window of {window:,} tokens, itself included"
    return note + "."


def position_of(row: int, span: slice) -> int:
    """Return the position that a row of the matrix stands for; the last one of a block."""
    block = block_size(span.stop - span.start)
    return min(span.start + (row + 1) * block, span.stop) - 1


def table_of(shown: Shown, tokens: Sequence[str]) -> pd.DataFrame:
    """Return what the matrix draws as a table, one line per query and key, for download."""
    query, key = np.nonzero(shown.readable)
    names = np.array(tokens, dtype=object)
    return pd.DataFrame(
        {
            "query": query + shown.start,
            "query_token": names[query + shown.start],
            "key": key + shown.start,
            "key_token": names[key + shown.start],
            shown.measure.replace(" ", "_"): shown.weights[query, key],
        }
    )


def _pick_cell(cell: tuple[int, int], span: slice) -> None:
    """Look at the query and the key of a cell of the matrix, and follow its arithmetic."""
    query, key = (position_of(index, span) for index in cell)
    put(pos=query, **{"attention.key": min(query, key), "attention.tab": "arithmetic"})


def _pick_measure(asked: Run, layer: int, head: int | None, window: slice, is_whole: bool) -> Shown:
    """Let the reader choose what to look at in a layer and head, and compute it for a window."""
    start, stop = window.start, window.stop
    measure = bind(
        st.segmented_control,
        "Show",
        "attention.measure",
        options=[*MEASURES],
        format_func=MEASURES.__getitem__,
        required=True,
        help=MEASURE_HELP,
    )
    can_read = _readable(*asked, layer, start, stop)
    if measure == "size":
        sizes = _sizes(*asked, layer, head, start, stop)
        if sizes is not None:
            name = name_of(layer, head)
            return Shown(sizes, can_read, "size", float(sizes.max()), name, start)
        st.caption(
            "Not available here: in this family, what attention adds is not simply the sum of its "
            "heads. Attention weights are shown instead."
        )
    if measure == "rollout" and not is_whole:
        st.caption(
            "Rollout multiplies all weights of all layers, so it is shown for texts of up to "
            f"{WHOLE_UP_TO:,} tokens. Attention weights are shown instead."
        )
    elif measure == "rollout":
        rolled = _rollout(*asked, layer)
        if rolled is not None:
            st.caption(
                f"{term('rollout', 'Rollout')} takes all heads together: the choice of a head has "
                "no effect."
            )
            return Shown(rolled, rolled > 0, "share", 1.0, f"Rollout up to layer {layer}")
        st.caption(
            "Rollout needs attention in every layer; here, some mix positions in another way. "
            "Attention weights are shown instead."
        )
    weights = _attention(*asked, layer, head, start, stop)
    return Shown(weights, can_read, "attention weight", 1.0, name_of(layer, head), start)


def _hide_first(shown: Shown) -> Shown:
    """Let the reader hide the first token, and say what that does to the rows."""
    if not bind(st.toggle, "Hide the first token", "attention.hide_first", help=SINK_HELP):
        return shown
    rows = shown.weights[1:]
    total = float(rows.sum())
    share = float(rows[:, 0].sum()) / total if total else 1.0
    bind(
        st.segmented_control,
        "What remains",
        "attention.rows",
        options=[*ROWS],
        format_func=ROWS.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    rescaled = part(Choices).rows == "rescale"
    note = f"Hidden: the first token, with {percent(share)} of all that is read after it. "
    if rescaled:
        st.caption(note + "What remains of each row is stretched to the sum it had.")
    else:
        st.caption(note + "**Rows no longer sum to 1.**" * (shown.measure != "size"))
    weights = without_first_token(shown.weights, rescale=rescaled)
    highest = float(weights.max()) or 1.0
    return shown._replace(
        weights=weights, highest=highest if shown.measure == "size" else shown.highest
    )


def _pick_span(window: slice) -> slice:
    """Let the reader of a long prompt choose which tokens to draw."""
    start, last = window.start, window.stop - 1
    if window.stop - start < SPAN_FROM:
        return window
    first, last = bind(
        st.slider,
        "Tokens to draw",
        "attention.span",
        min_value=start,
        max_value=last,
        when_none=(start, last),
        help="Choose fewer to see every token by itself.",
    )
    return slice(first, last + 1)
