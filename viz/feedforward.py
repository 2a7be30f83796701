"""Figures of the feedforward: what it does to a word, its neurons, its activation, its experts."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme
from viz.decoding import percent

BESIDE = 0.18
"""How far left of a layer's number its state before the feedforward is drawn, and right after."""
CURVE_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
CURVE_COLOURS = (theme.FEEDFORWARD, theme.QUERY, theme.KEY, theme.VALUE, theme.RESIDUAL)
BAR_PX = 27
ALMOST_NOTHING = 1e-5
"""Smaller probabilities are written as less than 0.001 %."""
MAX_TEXT_COLUMNS = 16

Measure = Literal["probability", "logit", "rank"]


def feedforward_steps(
    values: Float[np.ndarray, "layer side"] | Int[np.ndarray, "layer side"],
    word: str,
    *,
    measure: Measure = "probability",
    selected: int | None = None,
) -> go.Figure:
    """Draw one word's way through the layers, each feedforward as a step of its own.

    Args:
        values: Column 0 right before each layer's feedforward, column 1 right after; NaN in layers
            without one. A click on a mark reports the layer as `customdata`.
        word: The word's text.
        measure: What the values are: probabilities, logits, or ranks from 1.
        selected: The layer to mark.
    """
    n_layers = len(values)
    x = np.arange(n_layers)[:, None] + [-BESIDE, BESIDE]
    layers = np.repeat(np.arange(n_layers), 2)
    figure = go.Figure()
    figure.add_scatter(
        x=x.ravel(), y=values.ravel(), mode="lines", name="attention's step, to ●",
        line={"color": theme.ATTENTION, "dash": "dot", "width": 2}, connectgaps=True,
        hoverinfo="skip",
    )  # fmt: skip
    steps = np.concatenate([values.astype(float), np.full((n_layers, 1), np.nan)], 1)
    figure.add_scatter(
        x=np.concatenate([x, x[:, 1:]], 1).ravel(), y=steps.ravel(), mode="lines",
        name="the feedforward's step, from ● to ■", line={"color": theme.FEEDFORWARD, "width": 4},
        hoverinfo="skip",
    )  # fmt: skip
    for side, name, symbol, colour in (
        (0, "before the feedforward", "circle", theme.ATTENTION),
        (1, "after it", "square", theme.FEEDFORWARD),
    ):
        texts = [_written(measure, float(value)) for value in values[:, side]]
        figure.add_scatter(
            x=x[:, side], y=values[:, side], mode="markers", name=name, text=texts,
            showlegend=False, customdata=layers[side::2],
            marker={"symbol": symbol, "size": 10, "color": colour},
            hovertemplate=f"layer %{{customdata}}, {name}<br>{theme.shorten(word, 30)}: "
            f"{measure} %{{text}}<extra></extra>",
        )  # fmt: skip
    _layer_axis(figure, n_layers)
    known = values[np.isfinite(values)]
    if measure == "rank":
        highest = float(np.log10(max(10, known.max(initial=1))))
        powers = [10**n for n in range(int(highest) + 1)]
        figure.update_yaxes(
            title="rank (1 is the top)", type="log", range=[highest + 0.1, -0.15],
            tickvals=powers, ticktext=[f"{power:,}" for power in powers],
        )  # fmt: skip
    elif measure == "probability":
        top = float(known.max(initial=0)) or 1.0
        figure.update_yaxes(title="probability", tickformat="~%", range=[-0.04 * top, 1.08 * top])
    else:
        figure.update_yaxes(title="logit (score)")
    figure.update_yaxes(fixedrange=True, zeroline=False)
    return figure.update_layout(
        height=300, margin={"l": 10, "r": 10, "t": 44, "b": 10}, showlegend=True,
        shapes=[] if selected is None else [theme.band(selected - 0.5, selected + 0.5)],
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def switched_off_bars(
    probabilities: Float[np.ndarray, "layer"],
    as_is: float,
    word: str,
    *,
    selected: int | None = None,
) -> go.Figure:
    """Draw one word's probability with each layer's feedforward switched off in turn.

    Args:
        probabilities: One per layer; NaN where there is none to switch off. A click on a bar
            reports the layer as `x`.
        as_is: The probability with all of them.
        word: The word's text.
        selected: The layer to mark.
    """
    n_layers = len(probabilities)
    figure = go.Figure(
        go.Bar(
            x=list(range(n_layers)), y=probabilities, width=0.6, name="without this feedforward",
            marker={"color": theme.FEEDFORWARD, "pattern": {"shape": "/", "size": 5}},
            text=["" if np.isnan(p) else _short(p) for p in probabilities.tolist()]
            if n_layers <= MAX_TEXT_COLUMNS else None,
            textposition="outside", cliponaxis=False, textangle=0,
            hovertemplate=f"without the feedforward of layer %{{x}}<br>{theme.shorten(word, 30)}: "
            "%{y:.4%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_scatter(
        x=[-0.5, n_layers - 0.5], y=[as_is, as_is], mode="lines", name="with all of them",
        line={"color": theme.RESIDUAL, "width": 2, "dash": "dash"},
        hovertemplate=f"with all of them: {_written('probability', as_is)}<extra></extra>",
    )  # fmt: skip
    top = _highest(np.append(probabilities, as_is)) or 1.0
    _layer_axis(figure, n_layers, "layer whose feedforward is off")
    figure.update_yaxes(
        title=f"probability of {theme.shorten(word)}", tickformat="~%", range=[0, 1.2 * top],
        fixedrange=True, tickvals=[0, 0.25, 0.5, 0.75, 1] if top > 0.5 else None,
    )  # fmt: skip
    return figure.update_layout(
        height=280, margin={"l": 10, "r": 10, "t": 44, "b": 10}, showlegend=True,
        shapes=[] if selected is None else [theme.band(selected - 0.5, selected + 0.5)],
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def neuron_bars(
    neurons: Sequence[int],
    values: Float[np.ndarray, "neuron"],
    labels: Sequence[str],
    *,
    measure: str,
    hovers: Sequence[str],
    selected: int | None = None,
) -> go.Figure:
    """Draw the strongest neurons of a layer, one bar each.

    Args:
        neurons: Their numbers, the strongest first. A click reports one as `customdata`.
        values: What the bars show.
        labels: A word or two on what each neuron does, such as the token it promotes most.
        measure: What the values are called.
        hovers: What the hover says of each.
        selected: The neuron to mark.
    """
    y = list(range(len(neurons)))
    marked = [neuron == selected for neuron in neurons]
    figure = go.Figure(
        go.Bar(
            x=values, y=y, orientation="h", customdata=list(neurons), hovertext=list(hovers),
            marker={
                "color": [theme.HIGHLIGHT if is_it else theme.FEEDFORWARD for is_it in marked],
                "pattern": {"shape": ["" if is_it else "/" for is_it in marked], "size": 5},
            },
            text=[f"{value:+.2f}" for value in values.tolist()], textposition="outside",
            cliponaxis=False, hovertemplate="%{hovertext}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title=measure, range=_room(values), fixedrange=True, zeroline=True)
    figure.update_yaxes(
        title="neuron, and the token it pushes most", tickmode="array", tickvals=y,
        ticktext=[
            f"<b>▸ {neuron}</b>  {theme.shorten(label)}" if is_it
            else f"{neuron}  {theme.shorten(label)}"
            for neuron, label, is_it in zip(neurons, labels, marked, strict=True)
        ],
        range=[len(y) - 0.5, -0.5], fixedrange=True, showgrid=False, automargin=True,
    )  # fmt: skip
    return _bars_layout(figure, len(y))


def promoted_bars(
    tokens: Sequence[str], effects: Float[np.ndarray, "token"], measure: str
) -> go.Figure:
    """Draw the tokens that a neuron promotes and those that it suppresses.

    Args:
        tokens: The tokens' texts, the most promoted first.
        effects: What the neuron adds to their logits.
        measure: What the effects are called.
    """
    y = list(range(len(tokens)))
    up = effects >= 0
    figure = go.Figure(
        go.Bar(
            x=effects, y=y, orientation="h",
            marker={
                "color": [theme.FEEDFORWARD if is_up else theme.RESIDUAL for is_up in up],
                "pattern": {"shape": ["" if is_up else "/" for is_up in up], "size": 5},
            },
            text=[f"{effect:+.2f}" for effect in effects.tolist()], textposition="outside",
            cliponaxis=False,
            hovertext=[
                f"{theme.shorten(token, 40)}: {'promoted' if is_up else 'suppressed'}"
                for token, is_up in zip(tokens, up, strict=True)
            ],
            hovertemplate="%{hovertext}, %{x:+.4f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title=measure, range=_room(effects), fixedrange=True, zeroline=True)
    figure.update_yaxes(
        title="token", range=[len(y) - 0.5, -0.5], fixedrange=True, showgrid=False,
        automargin=True, **theme.token_axis(tokens),
    )  # fmt: skip
    return _bars_layout(figure, len(y))


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
) -> go.Figure:
    """Draw activation functions as curves, and dots of real values on them.

    Args:
        curves: Per name, inputs in rising order and outputs.
        points: Values that a model computed.
        input_name: Title of the x axis.
        output_name: Title of the y axis.
    """
    figure = go.Figure()
    for i, (name, (inputs, outputs)) in enumerate(curves.items()):
        figure.add_scatter(
            x=inputs, y=outputs, mode="lines", name=name,
            line={"color": CURVE_COLOURS[i % 5], "dash": CURVE_DASHES[i % 5], "width": 2},
            hovertemplate=f"{name}: %{{x:.3f}} → %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    if points is not None:
        figure.add_scatter(
            x=points.inputs, y=points.outputs, mode="markers", name="neurons of this token",
            text=list(points.names),
            marker={"size": 7, "color": theme.RESIDUAL, "opacity": 0.45},
            hovertemplate="%{text}: %{x:.3f} → %{y:.3f}<extra></extra>",
        )  # fmt: skip
        if points.marked is not None:
            _mark(figure, points.inputs, points.outputs, points.names, points.marked)
    figure.update_xaxes(title=input_name, fixedrange=True, zeroline=True)
    figure.update_yaxes(title=output_name, fixedrange=True, zeroline=True)
    return figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 44, "b": 10}, showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def gate_and_up(
    gate: Float[np.ndarray, "point"],
    up: Float[np.ndarray, "point"],
    names: Sequence[str],
    marked: int | None = None,
) -> go.Figure:
    """Draw what a gate lets through: each neuron's gate against the number it is multiplied with.

    A dot is as large as the absolute product, which is the neuron's activation.

    Args:
        gate: What leaves the activation function.
        up: What it is multiplied with.
        names: What the hover calls each dot.
        marked: The dot to mark.
    """
    product = gate * up
    largest = _highest(np.abs(product)) or 1.0
    figure = go.Figure(
        go.Scatter(
            x=gate, y=up, mode="markers", name="neurons of this token",
            text=[f"{name}<br>{g:.3f} × {u:.3f} = {g * u:.3f}"  # noqa: RUF001
                  for name, g, u in zip(names, gate.tolist(), up.tolist(), strict=True)],
            marker={
                "size": 4 + 22 * np.sqrt(np.nan_to_num(np.abs(product)) / largest),
                "color": theme.FEEDFORWARD, "opacity": 0.5,
                "symbol": np.where(product < 0, "diamond-open", "circle").tolist(),
            },
            hovertemplate="%{text}<extra></extra>",
        )
    )  # fmt: skip
    if marked is not None:
        _mark(figure, gate, up, names, marked)
    figure.update_xaxes(title="gate (out of the activation function)", fixedrange=True)
    figure.update_yaxes(title="up (what it is multiplied with)", fixedrange=True)
    return figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 44, "b": 10}, showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def expert_heatmap(
    weights: Float[np.ndarray, "pos expert"],
    tokens: Sequence[str],
    *,
    measure: str = "weight",
    start: int = 0,
    selected: int | None = None,
) -> go.Figure:
    """Draw which experts a router picked for each token, and with what weight.

    Args:
        weights: NaN where an expert did not run.
        tokens: One column per token.
        measure: What the numbers are called.
        start: The position of the first column.
        selected: The position to frame.
    """
    n_pos, n_experts = weights.shape
    columns = theme.position_labels(tokens, start)
    written = n_pos <= MAX_TEXT_COLUMNS
    figure = go.Figure(
        go.Heatmap(
            x=columns, y=list(range(n_experts)), z=weights.T.astype(np.float32),
            colorscale=theme.scale(), zmin=-_highest(-weights), zmax=_highest(weights) or 1.0,
            texttemplate="%{z:.2f}" if written else None, hoverongaps=False,
            xgap=1 if written else 0, ygap=1, textfont={"size": 11},
            hovertemplate=f"token %{{x}}<br>expert %{{y}}: {measure} %{{z:.4f}}<extra></extra>",
            colorbar={"orientation": "h", "thickness": 8, "y": 0, "yanchor": "top", "ypad": 8,
                      "title": {"text": measure, "side": "bottom"}},
        )
    )  # fmt: skip
    above = 40 + 7 * max((len(token) + 4 for token in tokens), default=0)
    above = min(above, 40 + 7 * (theme.LABEL_LENGTH + 5))
    figure.update_xaxes(
        type="category", title="token", side="top", tickangle=-90, ticks="", showgrid=False,
        fixedrange=True, range=[-0.5, n_pos - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        title="expert", dtick=1 if n_experts <= 24 else 8, ticks="", showgrid=False,
        fixedrange=True, range=[n_experts - 0.5, -0.5],
    )  # fmt: skip
    if selected is not None and start <= selected < start + n_pos:
        column = selected - start
        figure.add_shape(
            type="rect", x0=column - 0.5, x1=column + 0.5, y0=-0.5, y1=n_experts - 0.5,
            line={"color": theme.HIGHLIGHT, "width": 3 if written else 1},
        )  # fmt: skip
    row = 24 if n_experts <= 24 else max(3, 600 // n_experts)
    return figure.update_layout(
        plot_bgcolor=theme.MASKED, height=n_experts * row + above + 70,
        margin={"t": above, "r": 10, "b": 70, "l": 10},
    )  # fmt: skip


def _mark(
    figure: go.Figure,
    x: Float[np.ndarray, "point"],
    y: Float[np.ndarray, "point"],
    names: Sequence[str],
    marked: int,
) -> None:
    figure.add_scatter(
        x=x[[marked]], y=y[[marked]], mode="markers", name=names[marked], text=[names[marked]],
        marker={"size": 15, "symbol": "star", "color": theme.HIGHLIGHT},
        hovertemplate="%{text}: %{x:.3f}, %{y:.3f}<extra></extra>",
    )  # fmt: skip


def _layer_axis(figure: go.Figure, n_layers: int, title: str = "layer") -> None:
    figure.update_xaxes(
        title=title, dtick=max(1, -(-n_layers // 16)), range=[-0.5, n_layers - 0.5],
        showgrid=False, zeroline=False, fixedrange=True,
    )  # fmt: skip


def _written(measure: Measure, value: float) -> str:
    if not np.isfinite(value):
        return "none"
    if measure == "probability":
        return percent(value) if value == 0 or value >= ALMOST_NOTHING else "<0.001 %"
    return f"{value:,.0f}" if measure == "rank" else f"{value:.3f}"


def _short(probability: float) -> str:
    """A whole percentage, with no false 0 or 100: for the top of a narrow bar."""
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:.0%}"


def _highest(values: Float[np.ndarray, "..."]) -> float:
    """The largest number that is one, at least 0."""
    return float(values[np.isfinite(values)].max(initial=0.0))


def _room(values: Float[np.ndarray, "bar"]) -> list[float]:
    """A range with space for the numbers beside the bars."""
    low, high = -_highest(-values), _highest(values)
    space = 0.22 * ((high - low) or 1.0)
    return [low - (space if low < 0 else 0), high + (space if high > 0 else 0)]


def _bars_layout(figure: go.Figure, n_bars: int) -> go.Figure:
    return figure.update_layout(
        height=n_bars * BAR_PX + 60, margin={"l": 10, "r": 10, "t": 10, "b": 50}, bargap=0.25
    )
