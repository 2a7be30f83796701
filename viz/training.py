"""How did a model learn? How the loss of training runs fell, and where seeds ended."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from viz import theme
from viz.axes import fixed, rows
from viz.figure import Figure
from viz.layout import row_sizes
from viz.marks import Mark, dots, hover, line

COLOURS = (*(look.colour for look in theme.LOOKS), theme.RESIDUAL)
DASHES = tuple(look.dash for look in theme.LOOKS[:5])
"""Fewer than the colours, so that a colour that comes again has another dash."""


class Curve(NamedTuple):
    """The training loss of one run."""

    name: str
    steps: Int[np.ndarray, "point"]
    losses: Float[np.ndarray, "point"]


def loss_curves(curves: Sequence[Curve], *, from_step: int = 0) -> Figure:
    """Draw the training loss of several runs.

    Args:
        curves: The runs.
        from_step: Where the drawing starts: the first steps fall so far that they hide the rest.
    """
    lines = []
    for i, curve in enumerate(curves):
        shown = curve.steps >= from_step
        x, y = curve.steps[shown], curve.losses[shown]
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        template = (
            f"step %{{x}}: loss %{{y:.3r}} bits<extra>{theme.shorten(curve.name, 50)}</extra>"
        )
        lines.append(line(x, y, colour, 2, dash, name=curve.name, hovertemplate=template))
    layout = {
        "xaxis": fixed("training step"),
        "yaxis": fixed("loss (bits per token)"),
        "height": 340 + 20 * (len(curves) > 3),
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
        "showlegend": True,
    }
    return Figure(lines, layout)


def final_losses(
    names: Sequence[str], values: Sequence[Float[np.ndarray, "_"]], *, measure: str
) -> Figure:
    """Draw where each seed of each model ended: a dot per seed, a line from best to worst.

    Args:
        names: The models, the first on top.
        values: Per model, one value per seed; models may have different numbers of seeds.
        measure: What the values are.
    """
    traces = [
        trace
        for row, (name, seeds) in enumerate(zip(names, values, strict=True))
        if len(seeds)
        for trace in _seeds(row, name, seeds)
    ]
    layout = {
        "xaxis": fixed(measure),
        "yaxis": rows(names, "model"),
        "showlegend": False,
        **row_sizes(len(names)),
    }
    return Figure(traces, layout)


def _seeds(row: int, name: str, seeds: Float[np.ndarray, "seed"]) -> list[Mark]:
    """A dot per seed, on a line from the best to the worst."""
    ends = [float(np.min(seeds)), float(np.max(seeds))]
    template = hover(f"{theme.shorten(name, 40)}, run %{{customdata}}: %{{x:.3r}}")
    told = {"customdata": list(range(len(seeds))), "hovertemplate": template}
    return [
        line(ends, [row, row], theme.QUERY, 2, hoverinfo="skip"),
        dots(seeds, [row] * len(seeds), theme.QUERY, 10, opacity=0.8, **told),
    ]
