"""Attention figures: which earlier tokens a query reads from, and how strongly."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from viz import theme

MAX_SIDE = 192
"""Most rows and columns that are sent; more tokens are joined in blocks."""
MIN_HEIGHT, MAX_HEIGHT = 300, 560
LABEL_CHARACTER_PX, COLOUR_BAR_PX = 4.5, 44


def attention_heatmap(
    weights: Float[np.ndarray, "query key"],
    tokens: Sequence[str],
    *,
    readable: Bool[np.ndarray, "query key"] | None = None,
    query: int | None = None,
    key: int | None = None,
    start: int = 0,
    measure: str = "attention weight",
    highest: float = 1.0,
) -> go.Figure:
    """Draw one attention pattern, the first query on top.

    Colour follows the square root of the weight, so that small weights stay visible. Masked cells
    hold no number and show the plot's grey. Of more than `MAX_SIDE` tokens, neighbours are joined
    and each cell holds the largest weight of its block; hovers say so.

    Args:
        weights: One row per query.
        tokens: Labels of rows and columns.
        readable: False where the mask lets a query read nothing; by default each query reads
            itself and what comes before.
        query: The position of a row to frame.
        key: The position of a column to frame.
        start: The position of the first token, where only a part is drawn.
        measure: What the numbers are.
        highest: The number that gets the strongest colour.
    """
    n_tokens = len(tokens)
    if weights.shape != (n_tokens, n_tokens):
        raise ValueError(f"weights {weights.shape} do not fit {n_tokens} tokens")
    if readable is None:
        readable = np.tri(n_tokens, dtype=bool)
    cells = np.where(readable, weights, np.nan).astype(np.float32)
    block = block_size(n_tokens)
    largest = "" if block == 1 else "largest "
    labels = theme.position_labels(tokens, start)
    if block > 1:
        cells, labels = _largest_of_blocks(cells, block), block_labels(tokens, block, start)
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=labels,
            y=labels,
            zmin=0,
            zmax=highest,
            colorscale=theme.scale(power=2.0),
            hoverongaps=False,
            hovertemplate=(
                f"query %{{y}}<br>reads key %{{x}}<br>{largest}{measure} %{{z:.3f}}<extra></extra>"
            ),
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": 1,
                "y": 0,
                "yanchor": "top",
                "ypad": 8,
                "title": {"text": largest + measure, "side": "bottom"},
                "tickmode": "array",
                "tickvals": [step * highest for step in (0, 0.1, 0.25, 0.5, 1)],
                "tickformat": ".2~g",
                "tickangle": 0,
            },
        )
    )
    axis = {"type": "category", "ticks": "", "showgrid": False}
    figure.update_xaxes(title="key: what is read", side="top", tickangle=-90, **axis)
    figure.update_yaxes(title="query: who reads", autorange="reversed", **axis)
    for pos, colour, along_row in ((query, theme.QUERY, True), (key, theme.KEY, False)):
        if pos is not None and start <= pos < start + n_tokens:
            figure.add_shape(_frame((pos - start) // block, len(labels), colour, along_row))
    height = min(max(len(labels) * theme.CELL_PX, MIN_HEIGHT), MAX_HEIGHT)
    above = 36 + LABEL_CHARACTER_PX * max(map(len, labels), default=0)
    return figure.update_layout(
        plot_bgcolor=theme.MASKED,
        height=height + above + COLOUR_BAR_PX,
        margin={"t": above, "r": 10, "b": COLOUR_BAR_PX, "pad": 0},
    )


def block_size(n_tokens: int) -> int:
    """Return how many neighbouring tokens share one row of the heatmap."""
    return -(-n_tokens // MAX_SIDE)


def _largest_of_blocks(
    cells: Float[np.ndarray, "query key"], block: int
) -> Float[np.ndarray, "row column"]:
    """The largest number of each block; NaN where a block is masked altogether."""
    starts = np.arange(0, len(cells), block)
    rows = np.fmax.reduceat(cells, starts, axis=0)
    return np.fmax.reduceat(rows, starts, axis=1)


def block_labels(tokens: Sequence[str], block: int, start: int) -> list[str]:
    """Label blocks of tokens by their positions and first characters."""
    labels = []
    for first in range(0, len(tokens), block):
        last = min(first + block, len(tokens)) - 1
        text = theme.shorten("".join(tokens[first : last + 1]), 8)
        labels.append(f"{start + first}-{start + last}: {text}")
    return labels


def _frame(index: int, n_labels: int, colour: str, along_row: bool) -> dict:
    """A box around one row or column; categories are counted from 0."""
    across, along = (index - 0.5, index + 0.5), (-0.5, n_labels - 0.5)
    (x0, x1), (y0, y1) = (along, across) if along_row else (across, along)
    return {
        "type": "rect",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"color": colour, "width": 2},
    }
