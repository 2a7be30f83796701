"""After how many tokens has each pair turned once around, and what does the base do to that?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.read.rotation import Rotation
from pages.positions.subject import Subject
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.controls import pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz.rotation import turn_length, wavelength_lines

HELP = (
    "Pair $j$ of $d$ rotated dimensions turns by $\\theta_j = b^{-2j/d}$ per position; $b$ is the "
    "**base** (Su et al. 2021, section 3.2.2). Its **wavelength** $2\\pi/\\theta_j$ is how many "
    "tokens one full turn takes."
)
BASES = (1_000, 10_000, 100_000, 500_000, 1_000_000, 10_000_000)
MOST_BASES = 2


def draw(subject: Subject) -> None:
    """Draw the wavelengths of all pairs, beside those of other bases."""
    rotation = _pick_rotation(subject)
    if rotation is None:
        return
    chosen = bind(
        st.multiselect,
        "Compare with base",
        "positions.bases",
        options=BASES,
        format_func=lambda base: f"{base:,}",
        max_selections=MOST_BASES,
        help="The same number of pairs with another base, by the formula of RoFormer. Models for "
        "long texts use larger ones: their slow pairs turn more slowly still.",
    )
    others, context_size = of_bases(chosen, rotation.n_pairs), subject.info.context_size
    marks = {"this prompt": len(subject.tokens)}
    if context_size:
        marks["context"] = context_size
    chart(
        drawing(wavelength_lines, rotation.wavelengths, others, marks),
        key="positions_wavelengths",
        alt="Tokens per turn of every pair of dimensions",
    )
    st.markdown(in_words(rotation, context_size))
    csv_button(lambda: table_of(rotation, others), "rotation_wavelengths")


def _pick_rotation(subject: Subject) -> Rotation | None:
    """Return the rotation of all layers, or let the reader choose a layer where they differ."""
    found = [rotation for rotation in subject.facts.rotations if rotation is not None]
    if are_alike(found):
        return found[0]
    layer = pick_layer(subject.info, only_attention=True)
    rotation = subject.facts.rotations[layer]
    if rotation is None:
        st.info(f"Layer {layer} turns nothing.", icon=":material/info:")
    return rotation


def are_alike(rotations: Sequence[Rotation]) -> bool:
    """Tell whether all turn equally fast."""
    first = rotations[0].frequencies
    return all(
        len(one.frequencies) == len(first)
        and np.allclose(one.frequencies, first, rtol=1e-3, atol=1e-6)
        for one in rotations
    )


def of_bases(bases: Sequence[int], n_pairs: int) -> dict[str, Float[np.ndarray, "pair"]]:
    """Return the wavelengths of so many pairs with other bases."""
    exponents = -2 * np.arange(n_pairs) / (2 * n_pairs)
    return {f"base {base:,}": 2 * np.pi / float(base) ** exponents for base in bases}


def in_words(rotation: Rotation, context_size: int | None) -> str:
    """Say how fast the fastest and the slowest pair turn, and which never come around."""
    finite = rotation.wavelengths[np.isfinite(rotation.wavelengths)]
    text = (
        f"The fastest pair turns once in {turn_length(float(finite.min()))}, the slowest in "
        f"{turn_length(float(finite.max()))}."
    )
    if context_size:
        slow = int((rotation.wavelengths > context_size).sum())
        text += (
            f" {slow} of {rotation.n_pairs} pairs never come around within the context of "
            f"{context_size:,} tokens: in a longer text they reach angles that training never "
            "showed."
        )
    return text


def table_of(rotation: Rotation, others: dict[str, Float[np.ndarray, "pair"]]) -> pd.DataFrame:
    """Return a line per pair."""
    return pd.DataFrame(
        {
            "pair": np.arange(rotation.n_pairs),
            "radians_per_position": rotation.frequencies,
            "tokens_per_turn": rotation.wavelengths,
            **others,
        }
    )
