"""What did the neurons of one layer, its hidden layer, do at one token?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import InlookError, ModelInfo, NeuronTrace
from model_hooks.read.neurons import NeuronEffects, neuron_effects, neurons_of, strongest
from pages.ask.computed import computed
from pages.feedforward.choices import Order
from pages.feedforward.scene import Scene
from pages.text import escape_markdown
from pages.widgets.bind import bind
from viz.numbers import three_digits

N_STRONGEST = 12
"""Neurons that count as the strongest."""

_neurons = computed(neurons_of, says="Reading the neurons…")
_effects = computed(neuron_effects)


class Hidden(NamedTuple):
    """The hidden layer of one feedforward, and what each neuron does at one token."""

    layer: int
    pos: int
    neurons: NeuronTrace
    effects: NeuronEffects

    def ranked(self, order: Order) -> list[int]:
        """Return the strongest neurons, the first one on top."""
        values = self.effects.effects if order == "effect" else self.effects.sizes
        return strongest(values, N_STRONGEST)


def read(scene: Scene, layer: int) -> Hidden | None:
    """Read a layer's neurons; where they cannot be read, say why."""
    try:
        neurons = _neurons(*scene.asked, layer)
        effects = _effects(*scene.asked, layer, scene.word, scene.pos)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return None
    return Hidden(layer, scene.pos, neurons, effects)


def pick_neuron(hidden: Hidden, first: int) -> int:
    """Let the reader choose a neuron of the layer.

    Args:
        hidden: The layer's neurons.
        first: The one that is looked at while none was chosen.
    """
    last = len(hidden.effects.sizes) - 1
    return bind(
        st.number_input,
        f"Neuron of layer {hidden.layer} (0 to {last})",
        "feedforward.neuron",
        min_value=0,
        max_value=last,
        step=1,
        when_none=first,
        help="Click a bar, or type a number.",
    )


def formula(hidden: Hidden, neuron: int, name: str) -> str:
    """Write how a neuron's activation came about, with its own numbers.

    Args:
        hidden: The layer's neurons.
        neuron: One of them.
        name: What the activation function is called.
    """
    neurons, pos = hidden.neurons, hidden.pos
    activation = three_digits(neurons.activation[pos, neuron])
    if neurons.pre_activation is None or neurons.activated is None:
        return f"Its activation is **{activation}**."
    start = f"{escape_markdown(name)}({three_digits(neurons.pre_activation[pos, neuron])})"
    if neurons.up is None:
        return f"Its activation is {start} = **{activation}**."
    factors = (
        f"{three_digits(neurons.activated[pos, neuron])} × {three_digits(neurons.up[pos, neuron])}"  # noqa: RUF001
    )
    return f"Its activation is {start} × up = {factors} = **{activation}**."  # noqa: RUF001


def function_name(info: ModelInfo) -> str:
    """Return what the activation function is called."""
    return "the activation function" if info.activation == "unknown" else info.activation


def table_of(hidden: Hidden) -> pd.DataFrame:
    """Return every neuron of the layer at one token, for download."""
    neurons, pos = hidden.neurons, hidden.pos
    steps = {
        "pre_activation": neurons.pre_activation,
        "activated": neurons.activated,
        "up": neurons.up,
        "activation": neurons.activation,
    }
    return pd.DataFrame(
        {
            "neuron": np.arange(len(hidden.effects.sizes)),
            **{name: values[pos] for name, values in steps.items() if values is not None},
            "size": hidden.effects.sizes,
            "effect_on_word": hidden.effects.effects,
        }
    )
