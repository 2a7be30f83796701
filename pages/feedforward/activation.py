"""What does the activation function let through at this token, and what does a gate let by?"""

from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks.read.neurons import Curve, activation_curve, strongest
from pages.ask.computed import computed
from pages.feedforward import hidden as hidden_layer
from pages.feedforward.hidden import Hidden, formula, function_name, pick_neuron, table_of
from pages.feedforward.scene import Scene
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from viz import activation_curves, gate_and_up
from viz.feedforward import Points
from viz.numbers import percent

MAX_DOTS = 600
"""Neurons drawn; of more, an even sample and the strongest."""
N_LOUDEST = 2 * hidden_layer.N_STRONGEST - 1
"""Of these, the neurons with the largest activations, whichever way they point."""
N_CURVE = 240
HELP = (
    "Each dot is one neuron of this layer, at this token. The **activation function** bends the "
    "line: without it, the whole feedforward would be one plain matrix and could store no "
    "conditions."
)

_curve = computed(activation_curve)


class Values(NamedTuple):
    """What a layer's neurons computed at one token."""

    pre: Float[np.ndarray, "neuron"]
    activated: Float[np.ndarray, "neuron"]
    up: Float[np.ndarray, "neuron"] | None
    activation: Float[np.ndarray, "neuron"]


def draw(scene: Scene, layer: int) -> None:
    """Draw the activation function with this token's numbers on it, and the gate."""
    hidden = hidden_layer.read(scene, layer)
    if hidden is None:
        return
    name, values = function_name(scene.info), values_at(hidden)
    heading(f"What {name} does", help=HELP)
    curve: Curve | None = _curve(*scene.asked, layer, N_CURVE, scene.pos) if values else None
    if values is None or curve is None:
        st.info(
            "This family computes its activation function inside another step, so what goes into "
            "it cannot be read.",
            icon=":material/info:",
        )
        return
    neuron = pick_neuron(hidden, hidden.ranked("effect")[0])
    which = shown_neurons(values, neuron)
    st.markdown(share_off(values, name))
    left, right = (st.container(), None) if values.up is None else st.columns(2, gap="large")
    with left:
        _draw_curve(curve, values, which, neuron, name)
        drawn = "" if len(which) == len(values.pre) else f"Drawn: {len(which)} of them, evenly. "
        st.caption(drawn + formula(hidden, neuron, name))
    if right is not None and values.up is not None:
        with right:
            _draw_gate(values.activated, values.up, which, neuron)
    neurons = hidden.neurons
    numbers_from(neurons.path, neurons.activation.shape, "input, and the steps before it,", layer)
    csv_button(lambda: table_of(hidden), "activations")


def values_at(hidden: Hidden) -> Values | None:
    """Return what the neurons computed; None where what enters the function cannot be read."""
    neurons, pos = hidden.neurons, hidden.pos
    if neurons.pre_activation is None or neurons.activated is None:
        return None
    up = None if neurons.up is None else neurons.up[pos]
    return Values(neurons.pre_activation[pos], neurons.activated[pos], up, neurons.activation[pos])


def share_off(values: Values, name: str) -> str:
    """Say how many neurons the activation function keeps (nearly) silent."""
    n_below, n_zero = int((values.pre < 0).sum()), int((values.activated == 0).sum())
    n_neurons = len(values.pre)
    if n_zero > 0.5 * n_below:
        return (
            f"**{n_zero:,} of {n_neurons:,} neurons ({percent(n_zero / n_neurons)}) are off** at "
            "this "
            f"token: {escape_markdown(name)} gives exactly 0 for them."
        )
    return (
        f"**{n_below:,} of {n_neurons:,} neurons ({percent(n_below / n_neurons)}) are off or "
        "nearly "
        f"off** at this token: what goes in is below 0, where {escape_markdown(name)} lets little "
        "through."
    )


def shown_neurons(values: Values, neuron: int) -> list[int]:
    """Choose the neurons to draw on the curve: all, or an even sample with the strongest."""
    n_neurons = len(values.pre)
    if n_neurons <= MAX_DOTS:
        return list(range(n_neurons))
    order = np.argsort(values.pre, kind="stable")
    evenly = np.linspace(0, n_neurons - 1, MAX_DOTS - N_LOUDEST - 1).astype(int)
    return sorted({*order[evenly].tolist(), *strongest(values.activation, N_LOUDEST), neuron})


def _draw_curve(curve: Curve, values: Values, which: list[int], neuron: int, name: str) -> None:
    names = [f"neuron {i}" for i in which]
    points = Points(values.pre[which], values.activated[which], names, which.index(neuron))
    gated = values.up is not None
    chart(
        drawing(
            activation_curves,
            {name: (curve.inputs, curve.outputs)},
            points,
            output_name="what comes out: the gate" if gated else "activation",
        ),
        key="feedforward_curve",
        alt=f"{name} with the pre-activations of this token",
    )


def _draw_gate(
    gate: Float[np.ndarray, "neuron"],
    up: Float[np.ndarray, "neuron"],
    which: list[int],
    neuron: int,
) -> None:
    names = [f"neuron {i}" for i in which]
    chart(
        drawing(gate_and_up, gate[which], up[which], names, which.index(neuron)),
        key="feedforward_gate",
        alt="Gate and up of every neuron; the size of a dot is their product",
    )
    st.caption(
        "This feedforward is **gated**: a second projection, *up*, is multiplied with the gate. "
        "Large dots are neurons with a large product; open diamonds are negative."
    )
