"""What does a feedforward do to a word? Its step, its neurons, its activation."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from viz import axes, theme
from viz.axes import fixed, rows, shares
from viz.figure import Figure
from viz.layout import Part, legend, selected_band
from viz.marks import (
    Mark,
    bars,
    beside,
    dots,
    hatched,
    hover,
    largest,
    line,
    rows_of_bars,
    said,
)
from viz.numbers import percent, signed, three_digits, whole_percent

BESIDE = 0.18
"""How far left of a layer's number its state before the feedforward is drawn, and right after."""
CURVE_COLOURS = (theme.FEEDFORWARD, theme.QUERY, theme.KEY, theme.VALUE, theme.RESIDUAL)
CURVE_DASHES = tuple(look.dash for look in theme.LOOKS[:5])
BAR_PX = 27
ALMOST_NOTHING = 1e-5
"""Smaller probabilities are written as less than 0.001%."""
MAX_TEXT_COLUMNS = 16

Measure = Literal["probability", "logit", "rank"]


class _Steps(NamedTuple):
    """One word's way through the layers."""

    values: Float[np.ndarray, "layer side"] | Int[np.ndarray, "layer side"]
    word: str
    measure: Measure

    @property
    def x(self) -> Float[np.ndarray, "layer side"]:
        return np.arange(len(self.values))[:, None] + [-BESIDE, BESIDE]


def feedforward_steps(
    values: Float[np.ndarray, "layer side"] | Int[np.ndarray, "layer side"],
    word: str,
    *,
    measure: Measure = "probability",
    selected: int | None = None,
) -> Figure:
    """Draw one word's way through the layers, each feedforward as a step of its own.

    Args:
        values: Column 0 right before each layer's feedforward, column 1 right after; NaN in layers
            without one. A click on a mark reports the layer as `customdata`.
        word: The word's text.
        measure: What the values are: probabilities, logits, or ranks from 1.
        selected: The layer to mark.
    """
    steps = _Steps(values, word, measure)
    marks = [_states(steps, 0), _states(steps, 1)]
    layout = {
        "xaxis": axes.layers(len(values), zeroline=False),
        "yaxis": _measure_axis(values[np.isfinite(values)], measure),
        "shapes": selected_band(selected),
        **_chart(300),
    }
    return Figure([*_step_lines(steps), *marks], layout)


def _step_lines(steps: _Steps) -> list[Mark]:
    """Thin lines to each feedforward, and thick ones across it."""
    x, values = steps.x, steps.values.astype(float)
    gap = np.full((len(values), 1), np.nan)
    broken_x = np.concatenate([x, x[:, 1:]], 1).ravel()
    broken_y = np.concatenate([values, gap], 1).ravel()
    to_it = {"name": "attention's step, to ●", "hoverinfo": "skip", "connectgaps": True}
    over_it = {"name": "the feedforward's step, from ● to ■", "hoverinfo": "skip"}
    return [
        line(x.ravel(), steps.values.ravel(), theme.ATTENTION, 2, "dot", **to_it),
        line(broken_x, broken_y, theme.FEEDFORWARD, 4, **over_it),
    ]


def _states(steps: _Steps, side: Literal[0, 1]) -> Mark:
    """The states right before the feedforward of each layer, or right after."""
    name, symbol, colour = (
        ("before the feedforward", "circle", theme.ATTENTION),
        ("after it", "square", theme.FEEDFORWARD),
    )[side]
    x, y = steps.x[:, side], steps.values[:, side]
    word = theme.shorten(steps.word, 30)
    template = f"layer %{{customdata}}, {name}<br>{word}: {steps.measure} %{{text}}"
    told = {
        "name": name,
        "showlegend": False,
        "text": [_written(steps.measure, float(value)) for value in y],
        "customdata": np.arange(len(y)),
        "hovertemplate": hover(template),
    }
    return dots(x, y, colour, 10, symbol, **told)


def _measure_axis(
    known: Float[np.ndarray, "value"] | Int[np.ndarray, "value"], measure: Measure
) -> axes.Axis:
    if measure == "rank":
        return axes.ranks(known.max(initial=1), zeroline=False)
    if measure == "logit":
        return fixed("logit (score)", zeroline=False)
    top = float(known.max(initial=0)) or 1.0
    return shares("probability", 1.08 * top, -0.04 * top, zeroline=False)


def _chart(height: int) -> Part:
    """The part of a layout that all charts with a legend above them share."""
    margin = {"l": 10, "r": 10, "t": 44, "b": 10}
    return {"height": height, "margin": margin, "showlegend": True, "legend": legend(1.02)}


def switched_off_bars(
    probabilities: Float[np.ndarray, "layer"],
    as_is: float,
    word: str,
    *,
    selected: int | None = None,
) -> Figure:
    """Draw one word's probability with each layer's feedforward switched off in turn.

    Args:
        probabilities: One per layer; NaN where there is none to switch off. A click on a bar
            reports the layer as `x`.
        as_is: The probability with all of them.
        word: The word's text.
        selected: The layer to mark.
    """
    n_layers = len(probabilities)
    top = largest(np.append(probabilities, as_is)) or 1.0
    level = line([-0.5, n_layers - 0.5], [as_is, as_is], theme.RESIDUAL, 2, "dash")
    template = hover(f"with all of them: {_written('probability', as_is)}")
    layout = {
        "xaxis": axes.layers(n_layers, "layer whose feedforward is off", zeroline=False),
        "yaxis": shares(f"probability of {theme.shorten(word)}", 1.2 * top),
        "shapes": selected_band(selected),
        **_chart(280),
    }
    level |= {"name": "with all of them", "hovertemplate": template}
    return Figure([_without_each(probabilities, word), level], layout)


def _without_each(probabilities: Float[np.ndarray, "layer"], word: str) -> Mark:
    n_layers = len(probabilities)
    texts = None
    if n_layers <= MAX_TEXT_COLUMNS:
        texts = ["" if np.isnan(p) else whole_percent(p) for p in probabilities.tolist()]
    word = theme.shorten(word, 30)
    template = hover(f"without the feedforward of layer %{{x}}<br>{word}: %{{customdata}}")
    told: dict[str, Any] = {
        "customdata": [_written("probability", float(p)) for p in probabilities]
    }
    told |= {"name": "without this feedforward", "hovertemplate": template, "textangle": 0}
    x, pattern = list(range(n_layers)), {"shape": "/", "size": 5}
    return bars(x, probabilities, theme.FEEDFORWARD, pattern, width=0.6, **beside(texts), **told)


def neuron_bars(
    neurons: Sequence[int],
    values: Float[np.ndarray, "neuron"],
    labels: Sequence[str],
    *,
    measure: str,
    hovers: Sequence[str],
    selected: int | None = None,
) -> Figure:
    """Draw the strongest neurons of a layer, one bar each.

    Args:
        neurons: Their numbers, the strongest first. A click reports one as `customdata`.
        values: What the bars show.
        labels: A word or two on what each neuron does, such as the token it promotes most.
        measure: What the values are called.
        hovers: What the hover says of each.
        selected: The neuron to mark.
    """
    marked = [neuron == selected for neuron in neurons]
    colours = [theme.HIGHLIGHT if is_it else theme.FEEDFORWARD for is_it in marked]
    numbers = [
        f"<b>▸ {neuron}</b>" if is_it else f"{neuron}"
        for neuron, is_it in zip(neurons, marked, strict=True)
    ]
    texts = [
        f"{number}  {theme.shorten(label)}" for number, label in zip(numbers, labels, strict=True)
    ]
    pattern = hatched((not is_it for is_it in marked), 5)
    told = {"customdata": list(neurons), **said(hovers)}
    drawn = _signed_bars(values, colours, pattern) | told
    names = rows(texts, "neuron, and the token it pushes most", showgrid=False, automargin=True)
    return Figure(drawn, _bars_layout(values, measure, names))


def promoted_bars(
    tokens: Sequence[str], effects: Float[np.ndarray, "token"], measure: str
) -> Figure:
    """Draw the tokens that a neuron promotes and those that it suppresses.

    Args:
        tokens: The tokens' texts, the most promoted first.
        effects: What the neuron adds to their logits.
        measure: What the effects are called.
    """
    up = effects >= 0
    colours = [theme.FEEDFORWARD if is_up else theme.RESIDUAL for is_up in up]
    told = said(
        f"{theme.shorten(token, 40)}: {'promoted' if is_up else 'suppressed'}"
        for token, is_up in zip(tokens, up, strict=True)
    )
    told["hovertemplate"] = hover("%{hovertext}, %{x:+.3r}")
    drawn = _signed_bars(effects, colours, hatched(~up, 5)) | told
    names = rows(map(theme.shorten, tokens), "token", showgrid=False, automargin=True)
    return Figure(drawn, _bars_layout(effects, measure, names))


def _signed_bars(values: Float[np.ndarray, "bar"], colours: Sequence[str], pattern: Mark) -> Mark:
    written = beside(map(signed, values.tolist()))
    return rows_of_bars(values, colours, pattern, **written)


def _bars_layout(values: Float[np.ndarray, "bar"], measure: str, names: axes.Axis) -> Part:
    return {
        "xaxis": fixed(measure, range=_room(values), zeroline=True),
        "yaxis": names,
        "height": len(values) * BAR_PX + 60,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 50},
        "bargap": 0.25,
    }


class Points(NamedTuple):
    """Dots on a curve."""

    inputs: Float[np.ndarray, "point"]
    outputs: Float[np.ndarray, "point"]
    names: Sequence[str]
    """What the hover calls each dot."""
    marked: int | None = None
    """The dot to mark, if any."""


def activation_curves(
    curves: Mapping[str, tuple[Float[np.ndarray, "x"], Float[np.ndarray, "x"]]],
    points: Points | None = None,
    *,
    input_name: str = "pre-activation (what goes in)",
    output_name: str = "what comes out",
) -> Figure:
    """Draw activation functions as curves, and dots of real values on them.

    Args:
        curves: Per name, inputs in rising order and outputs.
        points: Values that a model computed.
        input_name: Title of the x axis.
        output_name: Title of the y axis.
    """
    looks = cycle(zip(CURVE_COLOURS, CURVE_DASHES, strict=True))
    traces = []
    for (name, (x, y)), (colour, dash) in zip(curves.items(), looks, strict=False):
        template = hover(f"{name}: %{{x:.3r}} → %{{y:.3r}}")
        traces.append(line(x, y, colour, 2, dash, name=name, hovertemplate=template))
    if points is not None:
        traces += _token_dots(points)
    layout = {
        "xaxis": fixed(input_name, zeroline=True),
        "yaxis": fixed(output_name, zeroline=True),
        **_chart(340),
    }
    return Figure(traces, layout)


def _token_dots(points: Points) -> list[Mark]:
    told = {"text": list(points.names), "hovertemplate": hover("%{text}: %{x:.3r} → %{y:.3r}")}
    look = {"opacity": 0.45, "name": "neurons of this token"}
    neurons = dots(points.inputs, points.outputs, theme.RESIDUAL, 7, **look, **told)
    return [neurons, *_star(points)]


def gate_and_up(
    gate: Float[np.ndarray, "point"],
    up: Float[np.ndarray, "point"],
    names: Sequence[str],
    marked: int | None = None,
) -> Figure:
    """Draw what a gate lets through: each neuron's gate against the number it is multiplied with.

    A dot is as large as the absolute product, which is the neuron's activation.

    Args:
        gate: What leaves the activation function.
        up: What it is multiplied with.
        names: What the hover calls each dot.
        marked: The dot to mark.
    """
    product = gate * up
    strongest = largest(np.abs(product)) or 1.0
    sizes = 4 + 22 * np.sqrt(np.nan_to_num(np.abs(product)) / strongest)
    symbols = np.where(product < 0, "diamond-open", "circle").tolist()
    texts = [
        f"{name}<br>{three_digits(g)} × {three_digits(u)} = {three_digits(g * u)}"  # noqa: RUF001
        for name, g, u in zip(names, gate.tolist(), up.tolist(), strict=True)
    ]
    told = {"name": "neurons of this token", "text": texts, "hovertemplate": hover("%{text}")}
    neurons = dots(gate, up, theme.FEEDFORWARD, sizes, symbols, opacity=0.5, **told)
    layout = {
        "xaxis": fixed("gate (out of the activation function)"),
        "yaxis": fixed("up (what it is multiplied with)"),
        **_chart(340),
    }
    return Figure([neurons, *_star(Points(gate, up, names, marked))], layout)


def _star(points: Points) -> list[Mark]:
    """The marked dot, if any."""
    if points.marked is None:
        return []
    at, name = [points.marked], points.names[points.marked]
    told = {"name": name, "text": [name], "hovertemplate": hover("%{text}: %{x:.3r}, %{y:.3r}")}
    return [dots(points.inputs[at], points.outputs[at], theme.HIGHLIGHT, 15, "star", **told)]


def _written(measure: Measure, value: float) -> str:
    if not np.isfinite(value):
        return "none"
    if measure == "probability":
        return percent(value) if value == 0 or value >= ALMOST_NOTHING else "<0.001%"
    return f"{value:,.0f}" if measure == "rank" else three_digits(value)


def _room(values: Float[np.ndarray, "bar"]) -> list[float]:
    """A range with space for the numbers beside the bars."""
    low, high = -largest(-values), largest(values)
    space = 0.22 * ((high - low) or 1.0)
    return [low - (space if low < 0 else 0), high + (space if high > 0 else 0)]
