"""Which pairs of dimensions make a score, and which ones do the heads of a layer use?"""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.read.rotation import Rotation
from model_hooks.read.turning import pair_use
from pages.ask.computed import computed
from pages.positions.picked import Picked, pick_pair
from pages.positions.subject import Subject
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import rotation as pictures
from viz.numbers import percent
from viz.rotation import turn_length

HELP = (
    "The score of a query and a key is a sum with one term per pair. Pairs that turn fast can tell "
    "neighbours apart; pairs that turn slowly carry what a token means, almost wherever it stands."
)
USE_HELP = (
    "A pair adds at most the product of its two lengths to a score. The cells show each pair's "
    "share of that, averaged over all queries of the prompt and the keys they may read (the "
    "measure of Barbero et al. 2024, *Round and Round We Go!*)."
)

_use = computed(pair_use)


def draw(subject: Subject) -> None:
    """Draw what each pair adds to one score, and which pairs the heads of this layer use."""
    picked = pick_pair(subject)
    if picked is None:
        return
    rotation, layer = picked.rotation, picked.layer
    terms, rest = terms_of(picked)
    st.markdown(in_words(terms, rest, picked))
    chart(
        drawing(pictures.pair_terms, terms, rotation.wavelengths, rest),
        key="positions_terms",
        alt=f"What each pair adds to the score of query {picked.query_pos} and key "
        f"{picked.key_pos}",
    )
    csv_button(lambda: table_of(terms, rest, rotation), "rotation_pairs")
    heading(f"All heads of layer {layer}", help=USE_HELP)
    use = _use(*subject.asked, layer)
    chart(
        drawing(pictures.pair_use, use, rotation.wavelengths, picked.head),
        key="positions_use",
        alt=f"How much each head of layer {layer} uses each pair",
    )
    st.markdown(use_in_words(use, rotation, picked.head))
    csv_button(lambda: table_of_use(use, rotation), "rotation_use")


def terms_of(picked: Picked) -> tuple[Float[np.ndarray, "pair"], float | None]:
    """Return what each pair adds to the score, and what the dimensions without rotation add."""
    rotation, pair = picked.rotation, picked.pair
    query = rotation.turned(pair.query, picked.query_pos)
    key = rotation.turned(pair.key, picked.key_pos)
    rest = picked.scale * rotation.rest_product(query, key) if len(rotation.untouched) else None
    return picked.scale * rotation.pair_products(query, key), rest


def in_words(terms: Float[np.ndarray, "pair"], rest: float | None, picked: Picked) -> str:
    """Say what the terms sum to, and what the model recorded."""
    total = float(terms.sum()) + (rest or 0.0)
    others = "" if rest is None else " and the rest"
    return (
        f"The {picked.measure} of {picked.names[0]} for {picked.names[1]}, {picked.distance} back, "
        f"is the sum of {len(terms)} pairs{others}: {total:.4f}. The model recorded "
        f"{picked.pair.recorded:.4f}."
    )


def table_of(
    terms: Float[np.ndarray, "pair"], rest: float | None, rotation: Rotation
) -> pd.DataFrame:
    """Return a line per pair, and one for the rest where there is any."""
    frame = pd.DataFrame(
        {
            "pair": [str(j) for j in range(len(terms))],
            "first_dimension": rotation.pairs[:, 0],
            "second_dimension": rotation.pairs[:, 1],
            "tokens_per_turn": rotation.wavelengths,
            "adds": terms,
        }
    )
    if rest is not None:
        frame = pd.concat([frame, pd.DataFrame({"pair": ["rest"], "adds": [rest]})])
    return frame


def use_in_words(use: Float[np.ndarray, "head pair"], rotation: Rotation, head: int) -> str:
    """Say which pairs a head uses most."""
    waves = rotation.wavelengths.tolist()
    named = ", ".join(
        f"**pair {j}** ({percent(use[head, j])}, one turn in {turn_length(waves[j])})"
        for j in np.argsort(-use[head])[:3]
    )
    return f"Head {head} works most with {named}."


def table_of_use(use: Float[np.ndarray, "head pair"], rotation: Rotation) -> pd.DataFrame:
    """Return a line per head and pair."""
    n_heads, n_pairs = use.shape
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(n_heads), n_pairs),
            "pair": np.tile(np.arange(n_pairs), n_heads),
            "tokens_per_turn": np.tile(rotation.wavelengths, n_heads),
            "share": use.ravel(),
        }
    )
