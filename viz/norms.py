"""What does a norm do to one vector? LayerNorm and RMSNorm, step by step and side by side."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import fixed, rows
from viz.figure import Figure
from viz.layout import legend
from viz.marks import diverging, dots, hover, line

N_SHOWN = 48
"""Numbers of a vector that a strip shows."""


def norm_steps_strips(
    steps: Sequence[tuple[str, Float[np.ndarray, "d_model"]]], n_shown: int = N_SHOWN
) -> Figure:
    """Draw the first numbers of a vector after each step, one row per step.

    Each row has its own colours, from its most negative to its most positive usual number; the
    hover has the values.

    Args:
        steps: What was done, and the vector after it.
        n_shown: How many numbers to show.
    """
    vectors = [np.asarray(values[:n_shown], dtype=np.float32) for _, values in steps]
    limits = [float(np.percentile(np.abs(values), 98)) or 1.0 for _, values in steps]
    shown = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
    strips = diverging(
        shown / np.array(limits, dtype=np.float32)[:, None],
        1,
        customdata=shown,
        showscale=False,
        xgap=1,
        ygap=6,
        hovertemplate=hover("number %{x} of the vector: %{customdata:.3r}"),
    )
    layout = {
        "xaxis": fixed("number in the vector", showgrid=False),
        "yaxis": rows((name for name, _ in steps), showgrid=False, ticks=""),
        "height": 34 * len(steps) + 60,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 48},
    }
    return Figure(strips, layout)


def norm_comparison(
    layer_norm: Float[np.ndarray, "d_model"], rms_norm: Float[np.ndarray, "d_model"]
) -> Figure:
    """Draw every number of a vector after LayerNorm over the same number after RMSNorm.

    Both before the weight. On the dashed line the two agree.

    Args:
        layer_norm: The vector without its mean, divided by its standard deviation.
        rms_norm: The vector divided by the root of its mean square.
    """
    both = np.concatenate([rms_norm, layer_norm])
    ends = [float(both.min()), float(both.max())]
    quiet = {"name": "where both are equal", "hoverinfo": "skip"}
    template = "number %{customdata}<br>RMSNorm %{x:.3r}<br>LayerNorm %{y:.3r}"
    told = {
        "name": "numbers of the vector",
        "customdata": np.arange(len(rms_norm)),
        "hovertemplate": hover(template),
    }
    layout = {
        "xaxis": fixed("after RMSNorm"),
        "yaxis": fixed("after LayerNorm"),
        "height": 340,
        "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
        "legend": legend(),
    }
    equal = line(ends, ends, theme.RESIDUAL, 1, "dash", **quiet)
    numbers = dots(rms_norm, layer_norm, theme.QUERY, 6, opacity=0.7, **told)
    return Figure([equal, numbers], layout)
