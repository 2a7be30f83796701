"""Where do two runs part, layer by layer? Their lenses subtracted, at the places they share."""

import pandas as pd
import streamlit as st

from model_hooks.read.between import LensApart, lens_apart
from model_hooks.read.lens import Point
from model_hooks.read.recorded import tokens_of
from model_hooks.text.alignment import both
from pages.ask.computed import computed
from pages.ask.pair import of_pair, places, runs
from pages.ask.session import info
from pages.layers.table import row_labels, window
from pages.text import escape_markdown, visible
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import difference_heatmap, lines_by_place, place_labels

HELP = (
    "Above: the probability, in B minus in A, of B's answer: the token that **B** ends on there. "
    "Below, at the chosen place: how far apart the two guesses are after each layer, in bits. "
    "KL(A||B) is how many more bits a token costs who expects what B does, where A is right."
)

_lens_apart = computed(lens_apart, says="Reading every layer of both…")
_tokens_of = computed(tokens_of)


def draw(pos: int) -> None:
    """Draw B - A of the lens around a position of B, and say where the guesses part.

    Raises:
        InlookError: The runs cannot be compared; the message says why.
    """
    a, b = runs()
    shown = range(len(b.token_ids))[window(len(b.token_ids), pos)]
    pairs = tuple(pair for pair in both(places()) if pair[1] in shown)
    found: LensApart = of_pair(_lens_apart, pairs)
    tokens = [_tokens_of(one.model_name, one.token_ids) for one in (a, b)]
    ends = [[visible(tokens[i][pair[i]]) for pair in pairs] for i in range(2)]
    labels = place_labels(ends[0], ends[1])
    rows = row_labels(found.points, info())
    heading("B - A after each layer", help=HELP)
    figure = drawing(
        difference_heatmap,
        found.difference,
        rows=rows,
        columns=labels,
        row_title="after layer",
        column_title="the text so far, up to this place",
        measure="probability of B's answer",
    )
    chart(figure, key="layers_difference", alt="B - A of the logit lens, layers by places")
    at = [b_pos for _, b_pos in pairs].index(pos) if pos in [two for _, two in pairs] else None
    if at is not None:
        st.markdown(where_they_part(found.part_at[at], found.points, labels[at]))
        kl = found.kl_ab[:, at], found.kl_ba[:, at]
        figure = drawing(
            lines_by_place, rows, kl, ("KL(A||B)", "KL(B||A)"), "bits", along="after layer"
        )
        chart(figure, key="layers_kl", alt="KL divergence of the guesses after each layer")
    csv_button(lambda: table_of(found, rows, labels), "logit_lens_b_minus_a")


def where_they_part(at: int | None, points: tuple[Point, ...], label: str) -> str:
    """Say after which layer two runs guess differently for good at a place."""
    place = escape_markdown(label.partition(": ")[2])
    if at is None:
        return f"After **{place}**, A and B end on the same token: they do not part."
    name = "the embedding" if at == 0 else f"layer {points[at].layer}"
    return f"After **{place}**, the guesses of A and B part for good **at {name}**."


def table_of(found: LensApart, rows: list[str], labels: list[str]) -> pd.DataFrame:
    """Return the difference with one line per cell, for download."""
    n_points, n_places = found.difference.shape
    return pd.DataFrame(
        {
            "point": [row for row in rows for _ in range(n_places)],
            "place": labels * n_points,
            "b_minus_a": found.difference.ravel(),
            "kl_a_b_bits": found.kl_ab.ravel(),
            "kl_b_a_bits": found.kl_ba.ravel(),
        }
    )
