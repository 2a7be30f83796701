"""The residual stream: how one token's vector grows and turns, and what each block adds to it."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

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


def stream_growth(
    norms: Float[np.ndarray, "point"],
    typical_norms: Float[np.ndarray, "point"],
    with_previous: Float[np.ndarray, "point"],
    with_last: Float[np.ndarray, "point"],
    *,
    selected: int | None = None,
) -> go.Figure:
    """Draw how one token's vector grows and turns from layer to layer.

    Above, its length (Euclidean norm); beneath, its cosine similarity. All arrays start with the
    embedding and go on with the state after each layer.

    Args:
        norms: Length of this token's vector.
        typical_norms: Median length over all tokens.
        with_previous: Cosine with the state one layer earlier; NaN for the embedding.
        with_last: Cosine with the state after the last layer.
        selected: The layer to mark.
    """
    layers = list(range(-1, len(norms) - 1))
    figure = make_subplots(
        rows=2, shared_xaxes=True, vertical_spacing=0.2,
    )  # fmt: skip
    lines = (
        (1, "this token", norms, theme.RESIDUAL, "solid", "circle", "length"),
        (1, "median of all tokens", typical_norms, theme.RESIDUAL, "dot", "circle-open", "length"),
        (2, "with the layer before", with_previous, theme.QUERY, "solid", "square", "cosine"),
        (2, "with the last layer", with_last, theme.KEY, "dash", "diamond", "cosine"),
    )
    for row, name, values, colour, dash, symbol, measure in lines:
        figure.add_scatter(
            x=layers, y=values, name=name, mode="lines+markers", row=row, col=1,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 7}, legend="legend" if row == 1 else "legend2",
            customdata=["the embedding" if i < 0 else f"layer {i}" for i in layers],
            hovertemplate=f"after %{{customdata}}<br>{name}: {measure} %{{y:.3g}}<extra></extra>",
        )  # fmt: skip
    if selected is not None:
        figure.add_vrect(
            x0=selected - 0.5, x1=selected + 0.5, line_width=0, fillcolor=theme.HIGHLIGHT,
            opacity=0.15, layer="below",
        )  # fmt: skip
    every = max(1, -(-len(layers) // 16))
    ticks = {-1: "embed", **{i: str(i) for i in layers[1::every]}}
    figure.update_xaxes(
        tickmode="array", tickvals=list(ticks), ticktext=list(ticks.values()), zeroline=False,
        showgrid=False, fixedrange=True, range=[-1.4, len(layers) - 1.6],
    )  # fmt: skip
    figure.update_xaxes(title="after layer", row=2, col=1)
    figure.update_yaxes(fixedrange=True)
    figure.update_yaxes(title="length (norm)", rangemode="tozero", row=1, col=1)
    lowest = float(np.nanmin([0.0, *with_previous, *with_last]))
    figure.update_yaxes(title="cosine", range=[lowest - 0.05, 1.05], row=2, col=1)
    legend = {"orientation": "h", "x": 0, "yanchor": "bottom"}
    return figure.update_layout(
        height=460, margin={"l": 10, "r": 10, "t": 44, "b": 10},
        legend={**legend, "y": 1.0}, legend2={**legend, "y": 0.405},
    )  # fmt: skip
