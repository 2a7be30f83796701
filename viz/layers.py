"""All layers side by side, to compare and to pick from."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

MAX_TILE = 48
"""Cells per side of one thumbnail; longer prompts are max-pooled."""
WIDTH_PX, LABEL_PX = 300, 18
"""What one picture and one line of text take on a small screen."""


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
    figure = go.Figure(
        go.Heatmap(
            z=picture, zmin=0, zmax=1, colorscale=theme.scale(power=2.0), showscale=False,
            hoverinfo="skip",
        )
    )  # fmt: skip
    # Clicks on a heatmap do not reach Python; those on markers do.
    figure.add_scatter(
        x=[left + middle for _, left in corners],
        y=[top + middle for top, _ in corners],
        mode="markers",
        marker={"symbol": "square", "size": 56, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=list(range(n_layers)),
        text=["" if tile is not None else "<br>no attention" for tile in tiles],
        hovertemplate="layer %{customdata}%{text}<extra></extra>",
        showlegend=False,
    )
    for layer, (top, left) in enumerate(corners):
        figure.add_annotation(
            x=left + middle, y=top - 0.5, yanchor="bottom", showarrow=False,
            text=f"<b>▸ {layer}</b>" if layer == selected else str(layer),
        )  # fmt: skip
        figure.add_shape(
            type="rect", x0=left - 0.5, x1=left + size - 0.5, y0=top - 0.5, y1=top + size - 0.5,
            line={"color": theme.HIGHLIGHT if layer == selected else theme.RESIDUAL,
                  "width": 3 if layer == selected else 1},
        )  # fmt: skip
        if tiles[layer] is None:
            figure.add_annotation(
                x=left + middle, y=top + middle, text="no<br>attention", showarrow=False,
                font={"size": 10},
            )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-gap, n_columns * width], fixedrange=True)
    figure.update_yaxes(
        visible=False, range=[n_rows * height - gap, -0.5], fixedrange=True, scaleanchor="x",
        constrain="domain",
    )  # fmt: skip
    return figure.update_layout(
        height=math.ceil(n_rows * (min(WIDTH_PX / n_columns, 104) + LABEL_PX)) + 8,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
    )


def _shrink(pattern: Float[np.ndarray, "query key"]) -> Float[np.ndarray, "size size"]:
    """Max-pool a pattern to at most `MAX_TILE` cells a side; what is masked stays empty."""
    n_tokens = len(pattern)
    seen = np.where(np.tri(n_tokens, dtype=bool), pattern, np.nan)
    size = min(n_tokens, MAX_TILE)
    starts = np.arange(size) * n_tokens // size
    return np.fmax.reduceat(np.fmax.reduceat(seen, starts, axis=0), starts, axis=1)
