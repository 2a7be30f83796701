"""What does each layer attend to? All attention patterns side by side, to pick one from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import hidden
from viz.figure import Figure
from viz.layout import Part, box, note
from viz.marks import Mark, always, cells, dots, hover

MAX_CELLS = 48
"""Cells per side of one thumbnail; longer prompts are max-pooled."""
WIDTH_PX, LABEL_PX, MAX_TILE_PX = 300, 18, 104
"""On a small screen: the whole picture, the number above a square, a square."""


class _Mosaic(NamedTuple):
    """Where the squares of all layers stand in one picture, counted in cells."""

    tiles: list[Float[np.ndarray, "size size"] | None]
    """None in layers without attention."""
    n_columns: int
    size: int
    """Cells per side of a square."""
    gap: int
    """Between two squares."""
    label_room: int
    """Above each square."""

    @property
    def n_rows(self) -> int:
        return -(-len(self.tiles) // self.n_columns)

    @property
    def step(self) -> tuple[int, int]:
        """From one square to the one beneath it, and to the one at its right."""
        across = self.size + self.gap
        return across + self.label_room, across

    @property
    def corners(self) -> list[tuple[int, int]]:
        """The first row and column of each square."""
        height, width = self.step
        places = [divmod(layer, self.n_columns) for layer in range(len(self.tiles))]
        return [(row * height + self.label_room, column * width) for row, column in places]

    @property
    def tile_px(self) -> float:
        return min(WIDTH_PX / self.n_columns, float(MAX_TILE_PX))


def layer_thumbnails(
    patterns: Sequence[Float[np.ndarray, "query key"] | None], *, selected: int | None = None
) -> Figure:
    """Draw one attention pattern per layer as small multiples in a single picture.

    Colour follows the square root of the weight; of long prompts, each cell holds the largest
    weight of its block. A click reports the layer as `customdata`.

    Args:
        patterns: Per layer, weights of queries (rows) over keys; None where it has no attention.
        selected: The layer to frame.
    """
    n_columns = math.ceil(math.sqrt(1.4 * len(patterns)))
    tiles = [None if pattern is None else _shrink(pattern) for pattern in patterns]
    size = next((len(tile) for tile in tiles if tile is not None), 1)
    label_room = max(1, math.ceil(size * LABEL_PX * n_columns / WIDTH_PX))
    return _drawn(_Mosaic(tiles, n_columns, size, max(1, size // 8), label_room), selected)


def _drawn(mosaic: _Mosaic, selected: int | None) -> Figure:
    height, width = mosaic.step
    right, bottom = mosaic.n_columns * width, mosaic.n_rows * height - mosaic.gap
    square = {"scaleanchor": "x", "constrain": "domain"}
    layout = {
        "xaxis": hidden(-mosaic.gap, right),
        "yaxis": hidden(bottom, -0.5, **square),
        # Lists, not add_shape and add_annotation: with 40 layers those take half a second.
        "shapes": _frames(mosaic, selected),
        "annotations": _names(mosaic, selected),
        "height": math.ceil(mosaic.n_rows * (mosaic.tile_px + LABEL_PX)) + 8,
        "margin": {"l": 0, "r": 0, "t": 4, "b": 4},
    }
    return Figure([_picture(mosaic), _click_targets(mosaic)], layout)


def _picture(mosaic: _Mosaic) -> Mark:
    height, width = mosaic.step
    shape = (mosaic.n_rows * height, mosaic.n_columns * width)
    picture = np.full(shape, np.nan, dtype=np.float32)
    for tile, (top, left) in zip(mosaic.tiles, mosaic.corners, strict=True):
        if tile is not None:
            picture[top : top + mosaic.size, left : left + mosaic.size] = tile
    return cells(picture, (0, 1), theme.scale(power=2.0), showscale=False, hoverinfo="skip")


def _click_targets(mosaic: _Mosaic) -> Mark:
    """Markers that nobody sees: clicks on a heatmap do not reach Python, those on markers do."""
    middle = (mosaic.size - 1) / 2
    x = [left + middle for _, left in mosaic.corners]
    y = [top + middle for top, _ in mosaic.corners]
    told = {
        "customdata": list(range(len(mosaic.tiles))),
        "text": ["" if tile is not None else "<br>no attention" for tile in mosaic.tiles],
        "hovertemplate": hover("layer %{customdata}%{text}"),
    }
    unseen = {"opacity": 0, "showlegend": False, **always(0)}
    return dots(x, y, None, mosaic.tile_px, "square", **unseen, **told)


def _frames(mosaic: _Mosaic, selected: int | None) -> list[Part]:
    frames = []
    for layer, (top, left) in enumerate(mosaic.corners):
        look = (theme.HIGHLIGHT, 3) if layer == selected else (theme.RESIDUAL, 1)
        x, y = ((first - 0.5, first + mosaic.size - 0.5) for first in (left, top))
        frames.append(box(x, y, *look))
    return frames


def _names(mosaic: _Mosaic, selected: int | None) -> list[Part]:
    """The number above each square, and in an empty one why it is."""
    middle = (mosaic.size - 1) / 2
    names = []
    for layer, (top, left) in enumerate(mosaic.corners):
        name = f"<b>▸ {layer}</b>" if layer == selected else str(layer)
        names.append(note(left + middle, top - 0.5, name, yanchor="bottom"))
        if mosaic.tiles[layer] is None:
            why = "no<br>attention"
            names.append(note(left + middle, top + middle, why, font={"size": 14}))
    return names


def _shrink(pattern: Float[np.ndarray, "query key"]) -> Float[np.ndarray, "size size"]:
    """Max-pool a pattern to at most `MAX_CELLS` cells a side; what is masked stays empty."""
    n_tokens = len(pattern)
    seen = np.where(np.tri(n_tokens, dtype=bool), pattern, np.nan)
    size = min(n_tokens, MAX_CELLS)
    starts = np.arange(size) * n_tokens // size
    return np.fmax.reduceat(np.fmax.reduceat(seen, starts, axis=0), starts, axis=1)
