"""How do some words fare from layer to layer?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float, Int

from model_hooks import ModelInfo
from model_hooks.parts.abilities import Abilities
from pages.layers.choices import Measure
from pages.layers.reading import Reading, point_name
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.tail import read_from
from pages.widgets.words import token_labels
from viz import watched_words

HELP = (
    "How likely some words are after each half of each layer. ● is right after attention, ■ right "
    "after the feedforward."
)
MEASURES: dict[Measure, str] = {"probability": "Probability", "rank": "Rank"}


def draw(
    info: ModelInfo, abilities: Abilities, reading: Reading, words: list[int], layer: int
) -> None:
    """Draw one line per watched word."""
    if not words:
        st.info("Choose a word to watch.", icon=":material/visibility:")
        return
    measure = bind(
        st.segmented_control,
        "Show",
        "layers.measure",
        options=[*MEASURES],
        format_func=MEASURES.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    probabilities, ranks = reading.probabilities(words), reading.ranks(words)
    names = [point_name(point, info) for point in reading.points]
    labels = token_labels(words)
    figure = drawing(
        watched_words,
        probabilities if measure == "probability" else ranks,
        [labels[word] for word in words],
        points=names,
        parts=[point.after for point in reading.points],
        layers=[point.layer for point in reading.points],
        measure=measure,
        selected=layer,
    )
    chart(figure, key="layers_words", alt=f"{measure} of watched words after each layer")
    read_from(info, abilities, len(names))
    csv_button(lambda: table_of(names, labels, probabilities, ranks), "watched_words")


def table_of(
    points: Sequence[str],
    labels: dict[int, str],
    probabilities: Float[np.ndarray, "point word"],
    ranks: Int[np.ndarray, "point word"],
) -> pd.DataFrame:
    """Return the lines with one row per mark, for download.

    Args:
        points: The names of the points.
        labels: A label per token ID, in the order of the columns.
        probabilities: Of each word at each point.
        ranks: The same, from 1.
    """
    n_points, n_words = probabilities.shape
    return pd.DataFrame(
        {
            "point": np.repeat(points, n_words),
            "token_id": np.tile([*labels], n_points),
            "token": [*labels.values()] * n_points,
            "probability": probabilities.ravel(),
            "rank": ranks.ravel(),
        }
    )
