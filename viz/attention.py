"""Which earlier tokens does a query read from, and how strongly? One head's attention pattern."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from viz import theme
from viz.axes import categories
from viz.figure import Figure
from viz.layout import Part, box
from viz.marks import bar_below, cells, hover

MAX_SIDE = 192
"""Most rows and columns that are sent; more tokens are joined in blocks."""
MIN_HEIGHT, MAX_HEIGHT = 300, 560
LABEL_CHARACTER_PX, COLOUR_BAR_PX = 4.5, 44


class _Pattern(NamedTuple):
    """A pattern as it is drawn: of long texts, neighbours are joined."""

    weights: Float[np.ndarray, "row column"]
    """NaN where masked."""
    labels: list[str]
    measure: str
    block: int
    """Tokens per row and column."""


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
) -> Figure:
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

    Raises:
        ValueError: The weights are not as many as the tokens, in both directions.
    """
    n_tokens = len(tokens)
    if weights.shape != (n_tokens, n_tokens):
        raise ValueError(f"weights {weights.shape} do not fit {n_tokens} tokens")
    readable = np.tri(n_tokens, dtype=bool) if readable is None else readable
    seen = np.where(readable, weights, np.nan).astype(np.float32)
    pattern = _joined(seen, tokens, start, measure)
    row, column = (
        (pos - start) // pattern.block if pos is not None and 0 <= pos - start < n_tokens else None
        for pos in (query, key)
    )
    return _heatmap(pattern, highest, _frames(row, column, len(pattern.labels)))


def _joined(
    seen: Float[np.ndarray, "query key"], tokens: Sequence[str], start: int, measure: str
) -> _Pattern:
    block = block_size(len(tokens))
    if block <= 1:
        return _Pattern(seen, theme.position_labels(tokens, start), measure, max(block, 1))
    labels = block_labels(tokens, block, start)
    return _Pattern(_largest_of_blocks(seen, block), labels, f"largest {measure}", block)


def _heatmap(pattern: _Pattern, highest: float, frames: list[Part]) -> Figure:
    labels, measure = pattern.labels, pattern.measure
    picture = cells(
        pattern.weights,
        (0, highest),
        theme.scale(power=2.0),
        x=labels,
        y=labels,
        hoverongaps=False,
        hovertemplate=hover(f"query %{{y}}<br>reads key %{{x}}<br>{measure} %{{z:.3r}}"),
        colorbar=_colour_bar(measure, highest),
    )
    height = min(max(len(labels) * theme.CELL_PX, MIN_HEIGHT), MAX_HEIGHT)
    above = 36 + LABEL_CHARACTER_PX * max(map(len, labels), default=0)
    layout = {
        "xaxis": categories("key: what is read", side="top", tickangle=-90),
        "yaxis": categories("query: who reads", autorange="reversed"),
        "shapes": frames,
        "plot_bgcolor": theme.MASKED,
        "height": height + above + COLOUR_BAR_PX,
        "margin": {"t": above, "r": 10, "b": COLOUR_BAR_PX, "pad": 0},
    }
    return Figure(picture, layout)


def _colour_bar(measure: str, highest: float) -> dict:
    stops = [step * highest for step in (0, 0.1, 0.25, 0.5, 1)]
    ticks = {"tickmode": "array", "tickvals": stops, "tickformat": ".2~g", "tickangle": 0}
    return bar_below(measure, **ticks)


def _frames(row: int | None, column: int | None, n_labels: int) -> list[Part]:
    """Boxes around a row and a column; categories are counted from 0."""
    whole = (-0.5, n_labels - 0.5)
    frames = []
    if row is not None:
        frames.append(box(whole, (row - 0.5, row + 0.5), theme.QUERY))
    if column is not None:
        frames.append(box((column - 0.5, column + 0.5), whole, theme.KEY))
    return frames


def block_size(n_tokens: int) -> int:
    """Return how many neighbouring tokens share one row of the heatmap."""
    return -(-n_tokens // MAX_SIDE)


def _largest_of_blocks(
    seen: Float[np.ndarray, "query key"], block: int
) -> Float[np.ndarray, "row column"]:
    """The largest number of each block; NaN where a block is masked altogether."""
    starts = np.arange(0, len(seen), block)
    return np.fmax.reduceat(np.fmax.reduceat(seen, starts, axis=0), starts, axis=1)


def block_labels(tokens: Sequence[str], block: int, start: int) -> list[str]:
    """Label blocks of tokens by their positions and first characters."""
    labels = []
    for first in range(0, len(tokens), block):
        last = min(first + block, len(tokens)) - 1
        text = theme.shorten("".join(tokens[first : last + 1]), 8)
        labels.append(f"{start + first}-{start + last}: {text}")
    return labels
