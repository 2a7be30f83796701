"""What does each half of one layer change in the prediction?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.parts.abilities import Abilities
from pages.layers.reading import Reading
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.quantity import LENS, shown
from pages.widgets.tail import read_from
from pages.widgets.words import token_labels
from viz import layer_effect

N_TOKENS = 6
"""Tokens drawn."""
N_LEADING = 3
"""Tokens considered of each state: those that lead there, as many as a `Reading` has."""
HELP = (
    "The same reading before a layer, between its two halves, and after it. **Attention** brings "
    "in what other tokens know; the **feedforward** then works on this token alone. The layer is "
    "shaded in the other figures."
)


def draw(info: ModelInfo, abilities: Abilities, reading: Reading, layer: int) -> None:
    """Draw a layer's leading tokens: before it, after attention, after the feedforward."""
    states = states_of(reading, layer)
    tokens = tokens_that_move(reading, states)
    probabilities = reading.probabilities(tokens)[states]
    names, labels = state_names(states), token_labels(tokens)
    figure = drawing(
        layer_effect,
        probabilities,
        names,
        ["embedding", *(reading.points[i].after for i in states[1:])],
        [labels[token] for token in tokens],
    )
    told = f"What attention and feedforward of layer {layer} change: "
    chart(figure, key="layers_halves", alt=told + in_words(reading, states, labels))
    read_from(info, abilities, len(states), blocks=abilities.layers[layer].path)
    csv_button(lambda: table_of(names, list(labels.values()), probabilities), "inside_layer")


def in_words(reading: Reading, states: Sequence[int], labels: dict[int, str]) -> str:
    """Write a layer's before and after for who cannot see the picture."""
    points = [reading.points[i] for i in states]
    said = []
    for token, label in labels.items():
        of = [(point.after, point.layer, reading.pos, token) for point in points]
        read = reading.probabilities([token])[states, 0].tolist()
        written = [shown(LENS, p, *one) for p, one in zip(read, of, strict=True)]
        said.append(f"{label} {' to '.join(written)}")
    return "; ".join(said)


def states_of(reading: Reading, layer: int) -> list[int]:
    """Return the points before, (between the halves of) and after a layer."""
    inside = [i for i, point in enumerate(reading.points) if point.layer == layer]
    return [inside[0] - 1, *inside]


def state_names(states: Sequence[int]) -> list[str]:
    """Name a layer's states for people."""
    if len(states) == 2:
        return ["before the layer", "after it"]
    return ["before the layer", "after attention", "after feedforward"]


def tokens_that_move(reading: Reading, states: Sequence[int]) -> list[int]:
    """Return the leading tokens of a layer's states, those that lead after it first."""
    leading = reading.lens.leading[list(states), :N_LEADING]
    in_order = [int(token) for row in leading[::-1] for token in row]
    return list(dict.fromkeys(in_order))[:N_TOKENS]


def table_of(
    states: Sequence[str],
    tokens: Sequence[str],
    probabilities: Float[np.ndarray, "state token"],
) -> pd.DataFrame:
    """Return a layer's before and after as a table, for download."""
    return pd.DataFrame(
        {
            "state": np.repeat(states, len(tokens)),
            "token": list(tokens) * len(states),
            "probability": probabilities.ravel(),
        }
    )
