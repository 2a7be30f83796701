"""Training runs: how the loss fell, and where seeds ended."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme

COLOURS = (
    theme.QUERY, theme.KEY, theme.VALUE, theme.FEEDFORWARD, theme.HIGHLIGHT, theme.ATTENTION,
    theme.RESIDUAL,
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


class Curve(NamedTuple):
    """The training loss of one run."""

    name: str
    steps: Int[np.ndarray, "point"]
    losses: Float[np.ndarray, "point"]


def loss_curves(curves: Sequence[Curve], *, from_step: int = 0) -> go.Figure:
    """Draw the training loss of several runs.

    Args:
        curves: The runs.
        from_step: Where the drawing starts: the first steps fall so far that they hide the rest.
    """
    traces = []
    for i, curve in enumerate(curves):
        shown = curve.steps >= from_step
        traces.append(
            go.Scatter(
                x=curve.steps[shown], y=curve.losses[shown], mode="lines", name=curve.name,
                line={"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)],
                      "width": 2},
                hovertemplate="step %{x}: loss %{y:.3f}"
                f"<extra>{theme.shorten(curve.name, 50)}</extra>",
            )
        )  # fmt: skip
    return go.Figure(
        traces,
        {
            "height": 340 + 20 * (len(curves) > 3), "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
            "xaxis": {"title": "training step", "fixedrange": True},
            "yaxis": {"title": "loss (nats per token)", "fixedrange": True},
            "showlegend": True,
        },
    )  # fmt: skip


def final_losses(
    names: Sequence[str], values: Sequence[Float[np.ndarray, "_"]], *, measure: str
) -> go.Figure:
    """Draw where each seed of each model ended: a dot per seed, a line from best to worst.

    Args:
        names: The models, the first on top.
        values: Per model, one value per seed; models may have different numbers of seeds.
        measure: What the values are.
    """
    traces = []
    for y, seeds in enumerate(values):
        if not len(seeds):
            continue
        traces.append(
            go.Scatter(
                x=[float(np.min(seeds)), float(np.max(seeds))], y=[y, y], mode="lines",
                line={"color": theme.QUERY, "width": 2}, hoverinfo="skip",
            )
        )  # fmt: skip
        traces.append(
            go.Scatter(
                x=seeds, y=[y] * len(seeds), mode="markers", customdata=list(range(len(seeds))),
                marker={"color": theme.QUERY, "size": 10, "opacity": 0.8},
                hovertemplate=f"{theme.shorten(names[y], 40)}, run %{{customdata}}: %{{x:.4f}}"
                "<extra></extra>",
            )
        )  # fmt: skip
    figure = go.Figure(traces)
    figure.update_xaxes(title=measure, fixedrange=True)
    figure.update_yaxes(
        title="model", fixedrange=True, range=[len(names) - 0.5, -0.5], **theme.token_axis([])
    )
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=list(names))
    figure.update_layout(showlegend=False)
    return theme.fit_rows(figure, len(names))
