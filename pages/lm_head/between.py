"""How far apart are two runs along both texts? Distances after every token, and what it cost."""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks.read.between import Apart, apart
from model_hooks.read.recorded import tokens_of
from model_hooks.text.alignment import both
from pages.ask.computed import computed
from pages.ask.pair import of_pair, places, runs
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.chart import chart
from pages.widgets.choices_apart import DISTANCE_HELP
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import lines_by_place, place_labels
from viz.numbers import bits, signed

ALONG_HELP = (
    "After every token of both texts, straight from the models: how far apart what they expect to "
    "come next is, in bits. Where one text has more tokens, there is nothing to compare."
)

_apart = computed(apart, says="Comparing both runs…")
_tokens_of = computed(tokens_of)


def draw_along() -> None:
    """Draw how far apart A and B are after every token of their texts, and what each costs.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    found_places = places()
    pairs, asked = both(found_places), runs()
    found: Apart = of_pair(_apart, pairs)
    tokens = [_tokens_of(one.model_name, one.token_ids) for one in asked]
    ends = [[visible(tokens[i][pair[i]]) for pair in pairs] for i in range(2)]
    labels = place_labels(ends[0], ends[1])
    chosen = view().pos
    at = len(pairs) - 1 if chosen is None else _index([b for _, b in pairs], chosen)
    heading("How far apart, along both texts", help=f"{ALONG_HELP} {DISTANCE_HELP}")
    names = ("KL(A||B)", "KL(B||A)")
    chart(
        drawing(lines_by_place, labels, (found.kl_ab, found.kl_ba), names, "bits", at),
        key="lm_head_along",
        alt="KL divergence of what A and B expect, after every place of their texts",
    )
    st.markdown(losses(found, labels))
    csv_button(lambda: along_table(pairs, ends, found), "a_b_along_the_text")


def losses(found: Apart, labels: list[str]) -> str:
    """Say where A and B are furthest apart, and what each text costs each of them."""
    most = int(found.kl_ab.argmax())
    said = [
        "They are nowhere apart."
        if not found.kl_ab.any()
        else f"Furthest apart after {escape_markdown(labels[most])}: {bits(found.kl_ab[most])}."
    ]
    for name, of_text in zip("AB", found.surprise, strict=True):
        if (known := np.isfinite(of_text[0])).any():
            to_a, to_b = (float(row[known].mean()) for row in of_text)
            said.append(
                f"Loss on {name}'s text where both read it: {bits(to_a)} a token for A, "
                f"{bits(to_b)} for B (B - A: {signed(to_b - to_a)})."
            )
    return " ".join(said)


def along_table(
    pairs: tuple[tuple[int, int], ...], ends: list[list[str]], found: Apart
) -> pd.DataFrame:
    """Return the distances with one line per place, for download."""
    a, b = zip(*pairs, strict=True)
    surprise = {
        f"surprise_of_{text}s_next_to_{run}": found.surprise[i, j]
        for i, text in enumerate("ab")
        for j, run in enumerate("ab")
    }
    columns = {"pos_a": a, "token_a": ends[0], "pos_b": b, "token_b": ends[1]}
    distances = {
        "kl_a_b_bits": found.kl_ab,
        "kl_b_a_bits": found.kl_ba,
        "total_variation": found.total_variation,
    }
    return pd.DataFrame({**columns, **distances, **surprise})


def _index(positions: list[int], pos: int) -> int | None:
    return positions.index(pos) if pos in positions else None
