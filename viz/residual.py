"""The residual stream: how much each block adds to one token's vector."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme


def added_sizes(
    attn_out: Float[np.ndarray, "layer"],
    mlp_out: Float[np.ndarray, "layer"],
    resid_post: Float[np.ndarray, "layer"],
    *,
    selected: int | None = None,
) -> go.Figure:
    """Draw the sizes (Euclidean norms) of what attention and feedforward add, layer by layer.

    Args:
        attn_out: Size of what each layer's attention adds to the residual stream.
        mlp_out: Size of what each layer's feedforward adds.
        resid_post: Size of the stream after each layer, drawn as a line.
        selected: The layer to mark. A click on a bar reports the layer as `x`.
    """
    layers = list(range(len(attn_out)))
    figure = go.Figure()
    parts = (
        ("attention adds", attn_out, theme.ATTENTION, ""),
        ("feedforward adds", mlp_out, theme.FEEDFORWARD, "/"),
    )
    for name, sizes, color, pattern in parts:
        figure.add_bar(
            x=layers, y=sizes, name=name, marker={"color": color, "pattern.shape": pattern},
            hovertemplate=f"layer %{{x}}: {name} %{{y:.3g}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=layers, y=resid_post, name="the stream after it", mode="lines+markers",
        line={"color": theme.RESIDUAL, "width": 2},
        hovertemplate="after layer %{x}, the stream's size is %{y:.3g}<extra></extra>",
    )  # fmt: skip
    if selected is not None:
        figure.add_vrect(
            x0=selected - 0.5, x1=selected + 0.5, line_width=0, fillcolor=theme.HIGHLIGHT,
            opacity=0.18, layer="below",
        )  # fmt: skip
    figure.update_xaxes(
        title="layer", range=[-0.5, len(layers) - 0.5], dtick=max(1, -(-len(layers) // 16)),
        showgrid=False, fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(title="size (norm)", rangemode="tozero", fixedrange=True)
    return figure.update_layout(
        height=260, margin={"l": 8, "r": 8, "t": 36, "b": 8}, barmode="group", bargap=0.25,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
