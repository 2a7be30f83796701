"""The residual stream: how one token's vector grows and turns, and what each block adds to it."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme


def added_sizes(
    attn_out: Float[np.ndarray, "layer"] | None,
    mlp_out: Float[np.ndarray, "layer"],
    resid_post: Float[np.ndarray, "layer"],
    *,
    selected: int | None = None,
) -> go.Figure:
    """Draw the sizes (Euclidean norms) of what attention and feedforward add, layer by layer.

    Args:
        attn_out: Size of what each layer's attention adds to the residual stream; None where the
            two parts cannot be told apart.
        mlp_out: Size of what each layer's feedforward adds, or the whole layer.
        resid_post: Size of the stream after each layer, drawn as a line.
        selected: The layer to mark. A click on a bar reports the layer as `x`.
    """
    layers = list(range(len(mlp_out)))
    bars = [("the layer adds", mlp_out, theme.RESIDUAL, "/")]
    if attn_out is not None:
        bars = [
            ("attention adds", attn_out, theme.ATTENTION, ""),
            ("feedforward adds", mlp_out, theme.FEEDFORWARD, "/"),
        ]
    traces = [
        go.Bar(
            x=layers, y=sizes, name=name, marker={"color": color, "pattern": {"shape": pattern}},
            hovertemplate=f"layer %{{x}}: {name} %{{y:.3g}}<extra></extra>",
        )
        for name, sizes, color, pattern in bars
    ]  # fmt: skip
    traces.append(
        go.Scatter(
            x=layers, y=resid_post, name="the stream after it", mode="lines+markers",
            line={"color": theme.RESIDUAL, "width": 2},
            hovertemplate="after layer %{x}, the stream's size is %{y:.3g}<extra></extra>",
        )
    )  # fmt: skip
    band = {
        "type": "rect", "x0": (selected or 0) - 0.5, "x1": (selected or 0) + 0.5,
        "yref": "y domain", "y0": 0, "y1": 1, "line": {"width": 0}, "fillcolor": theme.HIGHLIGHT,
        "opacity": 0.18, "layer": "below",
    }  # fmt: skip
    return go.Figure(
        traces,
        {
            "xaxis": {"title": {"text": "layer"}, "range": [-0.5, len(layers) - 0.5],
                      "dtick": max(1, -(-len(layers) // 16)), "showgrid": False,
                      "fixedrange": True},
            "yaxis": {"title": {"text": "size (norm)"}, "rangemode": "tozero", "fixedrange": True},
            "shapes": [] if selected is None else [band],
            "height": 260,
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "barmode": "group",
            "bargap": 0.25,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        },
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
    lines = (
        ("", "this token", norms, theme.RESIDUAL, "solid", "circle"),
        ("", "median of all tokens", typical_norms, theme.RESIDUAL, "dot", "circle-open"),
        ("2", "with the layer before", with_previous, theme.QUERY, "solid", "square"),
        ("2", "with the last layer", with_last, theme.KEY, "dash", "diamond"),
    )
    places = ["the embedding" if i < 0 else f"layer {i}" for i in layers]
    traces = [
        go.Scatter(
            x=layers, y=values, name=name, mode="lines+markers", customdata=places,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 7}, yaxis=f"y{panel}", legend=f"legend{panel}",
            hovertemplate=f"after %{{customdata}}<br>{name}: {'cosine' if panel else 'length'} "
            "%{y:.3g}<extra></extra>",
        )
        for panel, name, values, colour, dash, symbol in lines
    ]  # fmt: skip
    every = max(1, -(-len(layers) // 16))
    ticks = {-1: "embed", **{i: str(i) for i in layers[1::every]}}
    lowest = float(np.nanmin([0.0, *with_previous, *with_last]))
    legend = {"orientation": "h", "x": 0, "yanchor": "bottom"}
    return go.Figure(
        traces,
        {
            "height": 460, "margin": {"l": 10, "r": 10, "t": 44, "b": 10},
            "legend": {**legend, "y": 1.0}, "legend2": {**legend, "y": 0.4},
            "shapes": [] if selected is None else [theme.band(selected - 0.5, selected + 0.5)],
            "xaxis": {
                "title": "after layer", "tickmode": "array", "tickvals": list(ticks),
                "ticktext": list(ticks.values()), "range": [-1.4, len(layers) - 1.6],
                "zeroline": False, "showgrid": False, "fixedrange": True, "anchor": "y2",
            },
            "yaxis": {
                "title": "length (norm)", "rangemode": "tozero", "domain": [0.6, 1],
                "fixedrange": True,
            },
            "yaxis2": {
                "title": "cosine", "range": [lowest - 0.05, 1.05], "domain": [0, 0.4],
                "fixedrange": True,
            },
        },
    )  # fmt: skip
