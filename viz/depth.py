"""From block to block: how large the stream is, and how strongly the loss pulls at it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

LOOKS = (
    (theme.QUERY, "solid", "circle"),
    (theme.KEY, "dash", "square"),
    (theme.VALUE, "dot", "diamond"),
)


class Depth(NamedTuple):
    """One model's numbers at the input of each block and after the last one."""

    name: str
    sizes: Float[np.ndarray, "point"]
    """Length of the residual stream."""
    gradients: Float[np.ndarray, "point"] | None
    """Length of the loss's gradient there; None where it is not known."""


def stream_and_gradients(models: Sequence[Depth]) -> go.Figure:
    """Draw sizes above and gradients beneath, one line per model, on logarithmic axes.

    Args:
        models: Up to three models.
    """
    traces = []
    for model, (colour, dash, symbol) in zip(models, LOOKS, strict=False):
        for panel, what, values in (
            ("", "size of the stream", model.sizes),
            ("2", "size of the gradient", model.gradients),
        ):
            if values is None:
                continue
            points = list(range(len(values)))
            where = [f"entering block {i}" for i in points[:-1]] + ["after the last block"]
            traces.append(
                go.Scatter(
                    x=points, y=values, mode="lines+markers", name=model.name,
                    legendgroup=model.name, showlegend=not panel, yaxis=f"y{panel}",
                    line={"color": colour, "dash": dash, "width": 2},
                    marker={"symbol": symbol, "size": 8}, customdata=where,
                    hovertemplate=f"%{{customdata}}<br>{what} %{{y:.3g}}"
                    f"<extra>{theme.shorten(model.name, 40)}</extra>",
                )
            )  # fmt: skip
    longest = max((len(model.sizes) for model in models), default=1)
    every = max(1, -(-longest // 12))
    ticks = list(range(0, longest, every))
    axis = {"type": "log", "fixedrange": True, "nticks": 5, "exponentformat": "power"}
    return go.Figure(
        traces,
        {
            "height": 430, "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            "xaxis": {
                "title": "entering block (the last point: after the last block)",
                "tickvals": ticks, "ticktext": ["end" if i == longest - 1 else str(i)
                                                for i in ticks],
                "fixedrange": True, "anchor": "y2", "showgrid": False,
            },
            "yaxis": {"title": "size of the stream", "domain": [0.55, 1], **axis},
            "yaxis2": {"title": "gradient of the loss", "domain": [0, 0.45], **axis},
        },
    )  # fmt: skip
