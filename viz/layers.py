"""All layers side by side, to compare and to pick from."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

MAX_CELLS = 48
"""Cells per side of one thumbnail; longer prompts are max-pooled."""
WIDTH_PX, LABEL_PX, MAX_TILE_PX = 300, 18, 104
"""On a small screen: the whole picture, the number above a square, a square."""


def layer_thumbnails(
    patterns: Sequence[Float[np.ndarray, "query key"] | None], *, selected: int | None = None
) -> go.Figure:
    """Draw one attention pattern per layer as small multiples in a single picture.

    Colour follows the square root of the weight; of long prompts, each cell holds the largest
    weight of its block. A click reports the layer as `customdata`.

    Args:
        patterns: Per layer, weights of queries (rows) over keys; None where it has no attention.
        selected: The layer to frame.
    """
    n_layers = len(patterns)
    n_columns = math.ceil(math.sqrt(1.4 * n_layers))
    n_rows = -(-n_layers // n_columns)
    tiles = [None if pattern is None else _shrink(pattern) for pattern in patterns]
    size = next((len(tile) for tile in tiles if tile is not None), 1)
    gap = max(1, size // 8)
    label_room = max(1, math.ceil(size * LABEL_PX * n_columns / WIDTH_PX))
    width, height = size + gap, size + gap + label_room
    picture = np.full((n_rows * height, n_columns * width), np.nan, dtype=np.float32)
    corners = [(layer // n_columns * height + label_room, layer % n_columns * width)
               for layer in range(n_layers)]  # fmt: skip
    for tile, (top, left) in zip(tiles, corners, strict=True):
        if tile is not None:
            picture[top : top + size, left : left + size] = tile
    middle = (size - 1) / 2
    tile_px = min(WIDTH_PX / n_columns, MAX_TILE_PX)
    picture_of_all = go.Heatmap(
        z=picture, zmin=0, zmax=1, colorscale=theme.scale(power=2.0), showscale=False,
        hoverinfo="skip",
    )  # fmt: skip
    # Clicks on a heatmap do not reach Python; those on markers do.
    click_targets = go.Scatter(
        x=[left + middle for _, left in corners],
        y=[top + middle for top, _ in corners],
        mode="markers",
        marker={"symbol": "square", "size": tile_px, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=list(range(n_layers)),
        text=["" if tile is not None else "<br>no attention" for tile in tiles],
        hovertemplate="layer %{customdata}%{text}<extra></extra>",
        showlegend=False,
    )
    # Lists, not add_shape and add_annotation: with 40 layers those take half a second.
    frames, names = [], []
    for layer, (top, left) in enumerate(corners):
        is_selected = layer == selected
        names.append(
            {"x": left + middle, "y": top - 0.5, "yanchor": "bottom", "showarrow": False,
             "text": f"<b>▸ {layer}</b>" if is_selected else str(layer)}
        )  # fmt: skip
        frames.append(
            {"type": "rect", "x0": left - 0.5, "x1": left + size - 0.5, "y0": top - 0.5,
             "y1": top + size - 0.5,
             "line": {"color": theme.HIGHLIGHT if is_selected else theme.RESIDUAL,
                      "width": 3 if is_selected else 1}}
        )  # fmt: skip
        if tiles[layer] is None:
            names.append(
                {"x": left + middle, "y": top + middle, "text": "no<br>attention",
                 "showarrow": False, "font": {"size": 10}}
            )  # fmt: skip
    return go.Figure(
        [picture_of_all, click_targets],
        {
            "xaxis": {"visible": False, "range": [-gap, n_columns * width], "fixedrange": True},
            "yaxis": {"visible": False, "range": [n_rows * height - gap, -0.5], "fixedrange": True,
                      "scaleanchor": "x", "constrain": "domain"},
            "shapes": frames,
            "annotations": names,
            "height": math.ceil(n_rows * (tile_px + LABEL_PX)) + 8,
            "margin": {"l": 0, "r": 0, "t": 4, "b": 4},
        },
    )  # fmt: skip


def _shrink(pattern: Float[np.ndarray, "query key"]) -> Float[np.ndarray, "size size"]:
    """Max-pool a pattern to at most `MAX_CELLS` cells a side; what is masked stays empty."""
    n_tokens = len(pattern)
    seen = np.where(np.tri(n_tokens, dtype=bool), pattern, np.nan)
    size = min(n_tokens, MAX_CELLS)
    starts = np.arange(size) * n_tokens // size
    return np.fmax.reduceat(np.fmax.reduceat(seen, starts, axis=0), starts, axis=1)
