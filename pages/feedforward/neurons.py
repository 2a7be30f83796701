"""Which neurons of a layer are the strongest at this token, and which words do they push?"""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import NeuronTrace
from model_hooks.read.neurons import NeuronEffects, Pushes, pushed_tokens
from pages.ask.computed import computed
from pages.feedforward import hidden as hidden_layer
from pages.feedforward.choices import Order
from pages.feedforward.hidden import Hidden, formula, function_name, pick_neuron
from pages.feedforward.scene import Scene
from pages.state.visit import put
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.components import token_strip
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from pages.widgets.words import token_texts
from viz import neuron_bars, promoted_bars
from viz.numbers import signed, three_digits

N_TOKENS = 8
"""Tokens promoted, and as many suppressed."""
HELP = (
    "A feedforward's hidden layer is a row of **neurons**. Each compares the token's vector with a "
    "pattern it has learned; how well it fits is its **activation**. Then it adds its own learned "
    "vector, its output row, times the activation. Sent through the final norm and the LM head, "
    "that vector tells which tokens the neuron pushes up or down (Geva et al. 2022)."
)
ORDER_HELP = (
    "**Push on the word**: what the neuron adds to the word's score (logit) right after this "
    "layer. **Size**: the length of the vector that it adds, whatever it is good for."
)

_pushes = computed(pushed_tokens)


def draw(scene: Scene, layer: int) -> None:
    """Draw the strongest neurons, the tokens that one of them pushes, and where it fires."""
    hidden = hidden_layer.read(scene, layer)
    if hidden is None:
        return
    heading(f"The strongest of {len(hidden.effects.sizes):,} neurons", help=HELP)
    order = _pick_order(scene.name)
    which = hidden.ranked(order)
    many, one = st.columns(2, gap="large")
    with one:
        neuron = pick_neuron(hidden, which[0])
    asked_for = tuple(dict.fromkeys([*which, neuron]))
    found: tuple[Pushes, ...] = _pushes(*scene.asked, layer, asked_for, N_TOKENS, scene.pos)
    pushes = dict(zip(asked_for, found, strict=True))
    texts = token_texts(i for push in found for i in push.token_ids)
    with many:
        tops = [[visible(texts[i]) for i in pushes[one].token_ids[:3]] for one in which]
        _draw_strongest(scene, hidden, order, which, neuron, tops)
    with one:
        _draw_one(scene, hidden, neuron, pushes[neuron], texts)
    _check_sum(scene, hidden.effects)
    _draw_where_it_fires(scene, hidden.neurons, neuron)


def hovers(
    hidden: Hidden, which: Sequence[int], word: str, pushed: Sequence[Sequence[str]]
) -> list[str]:
    """Say in hovers what some neurons do, one text each.

    Args:
        hidden: The layer's neurons.
        which: The neurons.
        word: The word that is followed, for people.
        pushed: The tokens that each pushes most, for people.
    """
    neurons, effects, pos = hidden.neurons, hidden.effects, hidden.pos
    return [
        f"neuron {i}<br>activation {three_digits(neurons.activation[pos, i])}<br>adds a vector of "
        "size "
        f"{three_digits(effects.sizes[i])}<br>{signed(effects.effects[i])} to the score of "
        f"{html.escape(word)}"
        f"<br>pushes most: {html.escape(', '.join(tokens))}"
        for i, tokens in zip(which, pushed, strict=True)
    ]


def fires_on(neurons: NeuronTrace, neuron: int) -> tuple[Float[np.ndarray, "pos"], list[str]]:
    """Return how strongly a neuron fires at each token, as a shade from 0 to 1 and in numbers."""
    values = neurons.activation[:, neuron]
    largest = float(np.abs(values).max()) or 1.0
    return np.abs(values) / largest, [signed(value) for value in values.tolist()]


def sum_text(effects: NeuronEffects, word: str) -> str:
    """Say what all neurons together do to a word's score, and what the feedforward does."""
    bias = f" (and a bias of {signed(effects.bias)})" if effects.bias else ""
    return (
        f"all {len(effects.effects):,} neurons{bias} add {effects.total:+.4f} to the score of "
        f"{escape_markdown(word)}; the whole feedforward, sent through the model's own final norm "
        f"and LM head, adds {effects.whole:+.4f}. They differ by "
        f"{abs(effects.total - effects.whole):.0e}. The final norm divides by the size of the "
        "stream right after this layer; Layers counts the same feedforward at the scale of the "
        "last layer."
    )


def pushes_table(pushes: Pushes, texts: dict[int, str]) -> pd.DataFrame:
    """Return the tokens that a neuron pushes, for download."""
    return pd.DataFrame(
        {
            "token_id": pushes.token_ids,
            "token": [texts[i] for i in pushes.token_ids],
            "effect": pushes.effects,
        }
    )


def _pick_order(word: str) -> Order:
    """Let the reader choose which neurons come first."""
    orders: dict[Order, str] = {
        "effect": f"Push on “{escape_markdown(word)}”",
        "size": "Size of what it adds",
    }
    return bind(
        st.segmented_control,
        "Strongest by",
        "feedforward.order",
        options=[*orders],
        format_func=orders.__getitem__,
        required=True,
        help=ORDER_HELP,
    )


def _draw_strongest(
    scene: Scene,
    hidden: Hidden,
    order: Order,
    which: list[int],
    neuron: int,
    tops: list[list[str]],
) -> None:
    by_effect, effects = order == "effect", hidden.effects
    chart(
        drawing(
            neuron_bars,
            which,
            (effects.effects if by_effect else effects.sizes)[which],
            [tokens[0] for tokens in tops],
            measure="added to the word's score" if by_effect else "size of what it adds",
            hovers=hovers(hidden, which, scene.name, tops),
            selected=neuron,
        ),
        key="feedforward_neurons",
        on_click=lambda point: put({"feedforward.neuron": int(point.customdata)}),
        alt=f"The {len(which)} strongest neurons of layer {hidden.layer}",
    )
    neurons = hidden.neurons
    numbers_from(neurons.path, neurons.activation.shape, "input", layer=hidden.layer)
    csv_button(lambda: hidden_layer.table_of(hidden), "neurons")


def _draw_one(
    scene: Scene, hidden: Hidden, neuron: int, pushes: Pushes, texts: dict[int, str]
) -> None:
    st.markdown(
        formula(hidden, neuron, function_name(scene.info))
        + f" It adds a vector of size {three_digits(hidden.effects.sizes[neuron])}, which pushes "
        "these "
        "tokens:"
    )
    labels = [visible(texts[i]) for i in pushes.token_ids]
    chart(
        drawing(promoted_bars, labels, pushes.effects, "added to the token's score"),
        key="feedforward_pushes",
        alt=f"Tokens that neuron {neuron} promotes and suppresses",
    )
    csv_button(lambda: pushes_table(pushes, texts), "promoted_tokens")


def _check_sum(scene: Scene, effects: NeuronEffects) -> None:
    """Say whether all neurons together are what the feedforward does to the word's score."""
    scale = float(np.abs(effects.effects).sum()) + abs(effects.whole)
    holds = agree(abs(effects.total - effects.whole), scale, scene.info.dtype)
    check(holds, sum_text(effects, scene.name))


def _draw_where_it_fires(scene: Scene, neurons: NeuronTrace, neuron: int) -> None:
    st.markdown(f"**Where else does neuron {neuron} fire?** Its activation at every token:")
    weights, notes = fires_on(neurons, neuron)
    token_strip(
        scene.tokens,
        key="feedforward_fires",
        selected=scene.pos,
        weights=weights,
        notes=notes,
        height=190,
        on_pick=lambda picked: put(pos=picked),
        label=f"Activation of neuron {neuron} at every token",
    )
