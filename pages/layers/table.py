"""What would the model predict after each layer, if it were the last? Layers by tokens."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import InlookError, ModelInfo
from model_hooks.host import Run
from model_hooks.parts.abilities import Abilities
from model_hooks.read.lens import Lens, Point, read_lens, stream_points
from pages.ask.computed import computed
from pages.layers.choices import Show
from pages.state.visit import put
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.tail import read_from
from pages.widgets.wide import wide_figure
from pages.widgets.words import token_texts
from viz import lens_table

WINDOW = 12
"""Columns of the table whose cells can still be read."""
MAX_WORK = 5e11
"""Multiplications in the LM head that one picture may take: some ten seconds."""
HELP = (
    "After every layer, the vector of the selected token is sent straight to the end of the model: "
    "through the final norm and the LM head, as if no layer came after. What comes out is the "
    "layer's guess (the *logit lens*, nostalgebraist 2020). Early vectors were never trained to be "
    "read like this, so take early guesses as hints."
)
CELLS_HELP = (
    "**Guess**: the most probable token there. **Probability**: how sure that guess is. **Rank**: "
    "how many tokens stand before the one the model ends on; 1 means it leads already."
)
CELLS: dict[Show, str] = {"token": "Guess", "probability": "Probability", "rank": "Rank"}
SPANS = {"around": "Around this token", "all": "All tokens"}

_points = computed(stream_points)
_lens = computed(read_lens, says="Reading every layer…")


class Wanted(NamedTuple):
    """What the reader wants to see of the table."""

    show: Show
    span: slice
    by_half: bool


def draw(
    asked: Run, info: ModelInfo, abilities: Abilities, tokens: Sequence[str], pos: int
) -> None:
    """Draw the table and its controls; a click on a cell looks at its token and layer."""
    show, span, by_half = _controls(asked, info, abilities, len(tokens), pos)
    try:
        lens: Lens = _lens(*asked, span.start, span.stop, by_half)
    except InlookError as error:  # at another token, the tail gives no numbers
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    rows = row_labels(lens.points, info)
    texts = token_texts([*lens.top_ids[..., 0].ravel().tolist(), *lens.final_ids.tolist()])
    labels = {token_id: visible(text) for token_id, text in texts.items()}
    figure = drawing(
        lens_table,
        [[labels[i] for i in row] for row in lens.top_ids[..., 0].tolist()],
        lens.top_probabilities[..., 0],
        lens.final_ranks,
        points=rows,
        tokens=[visible(token) for token in tokens[span]],
        final=[labels[i] for i in lens.final_ids.tolist()],
        final_probabilities=lens.final_probabilities,
        show=show,
        start=span.start,
        selected=pos,
    )
    with wide_figure("layers_lens"):
        chart(
            figure,
            key="layers_lens",
            alt="The most probable next token after each layer",
            on_cell=lambda cell: _look_at(lens, cell),
        )
    read_from(info, abilities, *lens.final_ranks.shape)
    csv_button(lambda: table_of(lens, rows, tokens, texts), "logit_lens")


def window(n_tokens: int, pos: int, size: int = WINDOW) -> slice:
    """Return up to `size` positions around one, as far left as the text allows."""
    start = min(max(0, pos - size + 3), max(0, n_tokens - size))
    return slice(start, min(n_tokens, start + size))


def row_labels(points: Sequence[Point], info: ModelInfo) -> list[str]:
    """Label the rows of the table; short, to leave room for the cells."""
    by_half = any(point.after == "attention" for point in points)
    labels = [_row_label(point, info, by_half) for point in points]
    return [*labels[:-1], f"{labels[-1]} = output"]


def table_of(
    lens: Lens, rows: Sequence[str], tokens: Sequence[str], texts: Mapping[int, str]
) -> pd.DataFrame:
    """Return the table with one line per cell, for download.

    Args:
        lens: What the table shows.
        rows: The labels of its rows.
        tokens: All tokens of the text.
        texts: The text of every token that occurs in the lens, by its ID.
    """
    n_points, n_pos = lens.final_ranks.shape
    positions = np.tile(np.arange(lens.start, lens.start + n_pos), n_points)
    guesses, final = lens.top_ids[..., 0].ravel(), np.tile(lens.final_ids, n_points)
    return pd.DataFrame(
        {
            "point": np.repeat(rows, n_pos),
            "pos": positions,
            "token": [tokens[pos] for pos in positions],
            "guess_id": guesses,
            "guess": [texts[i] for i in guesses.tolist()],
            "guess_probability": lens.top_probabilities[..., 0].ravel(),
            "final_token_id": final,
            "final_token": [texts[i] for i in final.tolist()],
            "final_rank": lens.final_ranks.ravel(),
            "final_probability": lens.final_probabilities.ravel(),
        }
    )


def _controls(asked: Run, info: ModelInfo, abilities: Abilities, n_tokens: int, pos: int) -> Wanted:
    contents, columns, rows = st.columns([3, 3, 3], vertical_alignment="bottom")
    show = bind(
        contents.segmented_control,
        "Cells show",
        "layers.show",
        options=[*CELLS],
        format_func=CELLS.__getitem__,
        required=True,
        help=CELLS_HELP,
    )
    has_halves = not info.parallel and any(len(layer.parts) == 2 for layer in abilities.layers)
    by_half = bind(
        rows.toggle,
        "Each half of a layer",
        "layers.halves",
        help="A layer has two halves: ● attention, then ■ feedforward. Look after each.",
        disabled=not has_halves,
    )
    by_half = by_half and has_halves
    span = window(n_tokens, pos)
    if n_tokens > WINDOW:
        n_points = len(_points(asked.model_name, by_half))
        work = n_points * n_tokens * info.d_model * info.vocab_size
        with columns:
            span = _pick_span(n_tokens, span, possible=work <= MAX_WORK)
    return Wanted(show, span, by_half)


def _pick_span(n_tokens: int, around: slice, possible: bool) -> slice:
    """Let the reader choose between some tokens of a long text and all of them."""
    chosen = bind(
        st.segmented_control,
        "Tokens",
        "layers.span",
        options=[*SPANS],
        format_func=SPANS.__getitem__,
        required=True,
        disabled=not possible,
        help="All of a long text are drawn as colours; hover to read a cell.",
    )
    return slice(0, n_tokens) if chosen == "all" and possible else around


def _row_label(point: Point, info: ModelInfo, by_half: bool) -> str:
    if point.after == "embedding":
        return "embedding"
    if not by_half:
        return f"layer {point.layer}"
    if point.after == "feedforward":
        return f"{point.layer} ■ ffn"
    return f"{point.layer} ● {'attn' if point.layer in info.attention_layers else 'mix'}"


def _look_at(lens: Lens, cell: tuple[int, int]) -> None:
    """Look at the token and the layer of a cell that was clicked."""
    row, column = cell
    pos, layer = lens.start + column, lens.points[row].layer
    if layer < 0:
        put(pos=pos)
    else:
        put(pos=pos, layer=layer)
