"""What makes a token probable? What each part of the model adds to its logit."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import Axis, every, fixed, layer_texts, rows, shares, ticks_at
from viz.figure import Figure
from viz.layout import legend, note, selected_band
from viz.marks import Mark, bars, beside, hover, line, rows_of_bars
from viz.numbers import percent, three_digits

PART_LOOKS = {
    "embedding": (theme.RESIDUAL, ""),
    "attention": (theme.ATTENTION, ""),
    "feedforward": (theme.FEEDFORWARD, "/"),
}
"""Colour and pattern of bars that show what each part does."""


def layer_effect(
    probabilities: Float[np.ndarray, "state token"],
    states: Sequence[str],
    parts: Sequence[theme.StreamPart],
    tokens: Sequence[str],
) -> Figure:
    """Draw some tokens' probabilities before and after the two halves of a layer.

    Args:
        probabilities: One row per state of the stream.
        states: What each state is called, such as `before`.
        parts: What was added right before each state; `embedding` for the state before the layer.
        tokens: The tokens' texts.
    """
    names = [theme.shorten(token, 40) for token in tokens]
    groups = []
    for values, state, part in zip(probabilities, states, parts, strict=True):
        colour, shape = PART_LOOKS[part]
        written = beside(map(percent, np.nan_to_num(values).tolist()))
        template = hover(f"{state}: %{{customdata}} %{{text}}")
        told = {"name": state, "customdata": names, "hovertemplate": template}
        groups.append(rows_of_bars(values, colour, {"shape": shape}, **written, **told))
    highest = float(np.nanmax(probabilities, initial=0)) or 1.0
    layout = {
        "xaxis": shares("probability", 1.2 * highest),
        "yaxis": rows(map(theme.shorten, tokens), automargin=True),
        "height": len(tokens) * len(states) * 19 + 110,
        "margin": {"l": 10, "r": 30, "t": 44, "b": 10},
        "bargap": 0.18,
        "legend": legend(traceorder="normal"),
    }
    return Figure(groups, layout)


class _Logit(NamedTuple):
    """The parts of one logit."""

    embedding: float
    attention: Float[np.ndarray, "layer"]
    feedforward: Float[np.ndarray, "layer"]
    constant: float

    @property
    def n_layers(self) -> int:
        return len(self.attention)


def logit_parts(
    embedding: float,
    attention: Float[np.ndarray, "layer"],
    feedforward: Float[np.ndarray, "layer"],
    constant: float,
    *,
    logit: float,
    token: str,
    selected: int | None = None,
) -> Figure:
    """Draw what the embedding, every attention and every feedforward add to one logit.

    A line follows the sum; it ends at the logit.

    Args:
        embedding: What the embedding adds.
        attention: What each layer's attention adds.
        feedforward: What each layer's feedforward adds.
        constant: What the biases add.
        logit: The model's own value.
        token: What the logit is called.
        selected: The layer to mark.
    """
    parts = _Logit(embedding, attention, feedforward, constant)
    rim = {"color": theme.RESIDUAL, "width": 1}
    level = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": logit, "y1": logit}
    text = f"{theme.shorten(token, 50)}: {three_digits(logit)}"
    place = {"xref": "paper", "xanchor": "left", "yanchor": "bottom"}
    layout = {
        "xaxis": _logit_axis(parts),
        "yaxis": fixed("added to the logit", zeroline=True),
        "shapes": [{**level, "line": rim}, *selected_band(selected)],
        "annotations": [note(0, logit, text, **place)],
        "height": 340,
        "margin": {"l": 10, "r": 10, "t": 44, "b": 10},
        "barmode": "overlay",
        "legend": legend(1.02),
    }
    bars = [
        _ends(parts),
        _layer_bars("attention", parts, -0.4),
        _layer_bars("feedforward", parts, 0.0),
    ]
    return Figure([*bars, _running_sum(parts)], layout)


def _ends(parts: _Logit) -> Mark:
    """What comes before the first layer, and after the last one."""
    x, y, texts, name = [-1], [parts.embedding], ["embedding"], "embedding"
    if parts.constant:
        x, y = [*x, parts.n_layers], [*y, parts.constant]
        texts, name = [*texts, "bias"], "embedding (and bias)"
    told = {"text": texts, "textposition": "none", "hovertemplate": hover("%{text}: %{y:+.3r}")}
    return bars(x, y, theme.RESIDUAL, width=0.5, name=name, **told)


def _layer_bars(name: Literal["attention", "feedforward"], parts: _Logit, offset: float) -> Mark:
    colour, shape = PART_LOOKS[name]
    values = parts.attention if name == "attention" else parts.feedforward
    told: Mark = {"name": name, "hovertemplate": hover(f"{name} of layer %{{x}}: %{{y:+.3r}}")}
    place = {"width": 0.4, "offset": offset}
    return bars(list(range(parts.n_layers)), values, colour, {"shape": shape}, **place, **told)


def _running_sum(parts: _Logit) -> Mark:
    sums = parts.embedding + np.cumsum(parts.attention + parts.feedforward)
    y = [parts.embedding, *sums]
    if parts.constant:
        y.append(sums[-1] + parts.constant)
    told = {"name": "sum so far", "hovertemplate": hover("sum so far: %{y:.3r}")}
    x = list(range(-1, len(y) - 1))
    return line(x, y, theme.HIGHLIGHT, 2, "dot", mode="lines+markers", **told)


def _logit_axis(parts: _Logit) -> Axis:
    n_layers = parts.n_layers
    texts = layer_texts(n_layers, every(n_layers))
    if parts.constant:
        texts[n_layers] = "bias"
    reach = [-1.5, n_layers - 0.5 + bool(parts.constant)]
    return fixed("layer", range=reach, showgrid=False, zeroline=False, **ticks_at(texts))
