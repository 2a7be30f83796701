"""How does the residual stream grow and turn, and what does each block add to it?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from viz import axes, theme
from viz.axes import every, fixed, layer_texts, ticks_at
from viz.figure import Figure
from viz.layout import Part, legend, selected_band
from viz.marks import Mark, bars, hover, line, marked_line


def added_sizes(
    attn_out: Float[np.ndarray, "layer"] | None,
    mlp_out: Float[np.ndarray, "layer"],
    resid_post: Float[np.ndarray, "layer"],
    *,
    selected: int | None = None,
) -> Figure:
    """Draw the sizes (Euclidean norms) of what attention and feedforward add, layer by layer.

    Args:
        attn_out: Size of what each layer's attention adds to the residual stream; None where the
            two parts cannot be told apart.
        mlp_out: Size of what each layer's feedforward adds, or the whole layer.
        resid_post: Size of the stream after each layer, drawn as a line.
        selected: The layer to mark. A click on a bar reports the layer as `x`.
    """
    if attn_out is None:
        added = [_sizes("the layer adds", mlp_out, theme.RESIDUAL, "/")]
    else:
        added = [
            _sizes("attention adds", attn_out, theme.ATTENTION, ""),
            _sizes("feedforward adds", mlp_out, theme.FEEDFORWARD, "/"),
        ]
    layout = {
        "xaxis": axes.layers(len(mlp_out)),
        "yaxis": fixed("size (norm)", rangemode="tozero"),
        "shapes": [] if selected is None else [_panel_band(selected)],
        "height": 260,
        "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
        "barmode": "group",
        "bargap": 0.25,
        "legend": legend(1.02),
    }
    return Figure([*added, _stream(resid_post)], layout)


def _sizes(name: str, sizes: Float[np.ndarray, "layer"], colour: str, shape: str) -> Mark:
    told: Mark = {"name": name, "hovertemplate": hover(f"layer %{{x}}: {name} %{{y:,.3r}}")}
    return bars(list(range(len(sizes))), sizes, colour, {"shape": shape}, **told)


def _stream(sizes: Float[np.ndarray, "layer"]) -> Mark:
    template = hover("after layer %{x}, the stream's size is %{y:,.3r}")
    told: Mark = {"name": "the stream after it", "mode": "lines+markers", "hovertemplate": template}
    return line(list(range(len(sizes))), sizes, theme.RESIDUAL, **told)


def _panel_band(selected: int) -> Part:
    """Shade one layer; like `band`, but within the panel, so that it ends beneath the legend."""
    place = {"x0": selected - 0.5, "x1": selected + 0.5, "yref": "y domain", "y0": 0, "y1": 1}
    look = {"fillcolor": theme.HIGHLIGHT, "opacity": 0.18, "line": {"width": 0}, "layer": "below"}
    return {"type": "rect", **place, **look}


class _Curve(NamedTuple):
    """One number of the stream at the embedding and after each layer."""

    panel: str
    """Empty for the upper panel, `2` for the lower one."""
    name: str
    values: Float[np.ndarray, "point"]
    colour: str
    dash: str
    symbol: str


def stream_growth(
    norms: Float[np.ndarray, "point"],
    typical_norms: Float[np.ndarray, "point"],
    with_previous: Float[np.ndarray, "point"],
    with_last: Float[np.ndarray, "point"],
    *,
    selected: int | None = None,
) -> Figure:
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
    curves = (
        _Curve("", "this token", norms, theme.RESIDUAL, "solid", "circle"),
        _Curve("", "median of all tokens", typical_norms, theme.RESIDUAL, "dot", "circle-open"),
        _Curve("2", "with the layer before", with_previous, theme.QUERY, "solid", "square"),
        _Curve("2", "with the last layer", with_last, theme.KEY, "dash", "diamond"),
    )
    lowest = float(np.nanmin([0.0, *with_previous, *with_last]))
    reach = [lowest - 0.05, 1.05]
    layout = {
        "xaxis": _state_axis(len(norms)),
        "yaxis": fixed("length (norm)", rangemode="tozero", domain=[0.6, 1]),
        "yaxis2": fixed("cosine", range=reach, domain=[0, 0.4]),
        "shapes": selected_band(selected),
        "height": 460,
        "margin": {"l": 10, "r": 10, "t": 44, "b": 10},
        "legend": legend(),
        "legend2": legend(0.4),
    }
    return Figure(list(map(_state_line, curves)), layout)


def _state_line(curve: _Curve) -> Mark:
    x = list(range(-1, len(curve.values) - 1))
    measure = "cosine" if curve.panel else "length"
    told = {
        "customdata": ["the embedding" if layer < 0 else f"layer {layer}" for layer in x],
        "hovertemplate": hover(f"after %{{customdata}}<br>{curve.name}: {measure} %{{y:,.3r}}"),
    }
    place = {"yaxis": f"y{curve.panel}", "legend": f"legend{curve.panel}"}
    look = theme.Look(curve.colour, curve.dash, curve.symbol)
    return marked_line(x, curve.values, look, 7, name=curve.name, **place, **told)


def _state_axis(n_states: int) -> axes.Axis:
    texts = ticks_at(layer_texts(n_states - 1, every(n_states)))
    plain = {"zeroline": False, "showgrid": False}
    return fixed("after layer", range=[-1.4, n_states - 1.6], anchor="y2", **plain, **texts)
