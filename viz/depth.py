"""How large is the stream from block to block, and how strongly does the loss pull at it?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import Axis, every, fixed, ticks
from viz.figure import Figure
from viz.layout import legend
from viz.marks import Mark, marked_line

LOOKS = theme.LOOKS[:3]
MAX_TICKS = 12


class Depth(NamedTuple):
    """One model's numbers at the input of each block and after the last one."""

    name: str
    sizes: Float[np.ndarray, "point"]
    """Length of the residual stream."""
    gradients: Float[np.ndarray, "point"] | None
    """Length of the loss's gradient there; None where it is not known."""


def stream_and_gradients(models: Sequence[Depth]) -> Figure:
    """Draw sizes above and gradients beneath, one line per model, on logarithmic axes.

    Args:
        models: Up to three models.
    """
    traces = []
    for model, look in zip(models, LOOKS, strict=False):
        traces.append(_line(model.name, "size of the stream", model.sizes, look))
        if model.gradients is not None:
            below = {"showlegend": False, "yaxis": "y2"}
            gradients = _line(model.name, "size of the gradient", model.gradients, look)
            traces.append(gradients | below)
    log = {"type": "log", "nticks": 5, "exponentformat": "power"}
    layout = {
        "xaxis": _point_axis(max((len(model.sizes) for model in models), default=1)),
        "yaxis": fixed("size of the stream", domain=[0.55, 1], **log),
        "yaxis2": fixed("gradient of the loss", domain=[0, 0.45], **log),
        "height": 430,
        "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
        "legend": legend(),
    }
    return Figure(traces, layout)


def _line(name: str, what: str, values: Float[np.ndarray, "point"], look: theme.Look) -> Mark:
    points = list(range(len(values)))
    where = [f"entering block {i}" for i in points[:-1]] + ["after the last block"]
    template = f"%{{customdata}}<br>{what} %{{y:,.3r}}<extra>{theme.shorten(name, 40)}</extra>"
    told = {"customdata": where, "hovertemplate": template}
    shared = {"name": name, "legendgroup": name, "showlegend": True, "yaxis": "y"}
    return marked_line(points, values, look, **shared, **told)


def _point_axis(n_points: int) -> Axis:
    points = range(0, n_points, every(n_points, MAX_TICKS))
    labels = ticks(["end" if i == n_points - 1 else str(i) for i in points], points)
    title = "entering block (the last point: after the last block)"
    return fixed(title, anchor="y2", showgrid=False, **labels)
