"""Normalisation: what LayerNorm and RMSNorm do to one vector."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

N_SHOWN = 48
"""Numbers of a vector that a strip shows."""


def norm_steps_strips(
    steps: Sequence[tuple[str, Float[np.ndarray, "d_model"]]], n_shown: int = N_SHOWN
) -> go.Figure:
    """Draw the first numbers of a vector after each step, one row per step.

    Each row has its own colours, from its most negative to its most positive usual number; the
    hover has the values.

    Args:
        steps: What was done, and the vector after it.
        n_shown: How many numbers to show.
    """
    rows = [np.asarray(values[:n_shown], dtype=np.float32) for _, values in steps]
    limits = [float(np.percentile(np.abs(values), 98)) or 1.0 for _, values in steps]
    shown = np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)
    figure = go.Figure(
        go.Heatmap(
            z=shown / np.array(limits, dtype=np.float32)[:, None], zmin=-1, zmax=1,
            customdata=shown, colorscale=theme.scale(theme.DIVERGING), showscale=False,
            xgap=1, ygap=6,
            hovertemplate="number %{x} of the vector: %{customdata:.4f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="number in the vector", fixedrange=True, showgrid=False)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(steps))), ticktext=[name for name, _ in steps],
        range=[len(steps) - 0.5, -0.5], showgrid=False, fixedrange=True, ticks="",
    )  # fmt: skip
    return figure.update_layout(
        height=34 * len(steps) + 60, margin={"l": 8, "r": 8, "t": 8, "b": 48}
    )


def norm_comparison(
    layer_norm: Float[np.ndarray, "d_model"], rms_norm: Float[np.ndarray, "d_model"]
) -> go.Figure:
    """Draw every number of a vector after LayerNorm over the same number after RMSNorm.

    Both before the weight. On the dashed line the two agree.

    Args:
        layer_norm: The vector without its mean, divided by its standard deviation.
        rms_norm: The vector divided by the root of its mean square.
    """
    ends = [
        float(min(rms_norm.min(), layer_norm.min())),
        float(max(rms_norm.max(), layer_norm.max())),
    ]
    figure = go.Figure(
        [
            go.Scatter(
                x=ends, y=ends, mode="lines", name="where both are equal", hoverinfo="skip",
                line={"color": theme.RESIDUAL, "dash": "dash", "width": 1},
            ),
            go.Scatter(
                x=rms_norm, y=layer_norm, mode="markers", name="numbers of the vector",
                marker={"color": theme.QUERY, "size": 6, "opacity": 0.7},
                customdata=np.arange(len(rms_norm)),
                hovertemplate="number %{customdata}<br>RMSNorm %{x:.4f}<br>LayerNorm %{y:.4f}"
                "<extra></extra>",
            ),
        ]
    )  # fmt: skip
    figure.update_xaxes(title="after RMSNorm", fixedrange=True)
    figure.update_yaxes(title="after LayerNorm", fixedrange=True)
    return figure.update_layout(
        height=340, margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
