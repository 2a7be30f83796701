"""Which parts of the model add more to a word's score in B than in A?"""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import ComparisonError
from model_hooks.read.attribution import Attribution, attribute_logit
from model_hooks.read.between import OTHER_VOCABULARY
from pages.ask.computed import computed
from pages.ask.pair import is_one_vocabulary, of_both
from pages.ask.session import run, tokens_of_run
from pages.layers.choices import Choices
from pages.state.visit import part
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.controls import current_position
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.words import token_name
from viz import difference_heatmap
from viz.numbers import signed

KINDS = ("attention", "feedforward")
HELP = (
    "What each part adds to the score (logit) in B minus what it adds in A. Each run is counted at "
    "the scale of its own final norm; embedding, biases and all cells together are the whole "
    "difference of the two scores."
)

_attribution = computed(attribute_logit)


def draw(best: int) -> None:
    """Draw B - A of the parts of a logit.

    Args:
        best: The token whose logit is split where the reader has chosen none.

    Raises:
        InlookError: They cannot be subtracted; the message says why.
    """
    if not is_one_vocabulary():
        raise ComparisonError(OTHER_VOCABULARY)
    chosen = part(Choices)
    token_id = best if chosen.logit_of is None else chosen.logit_of

    def split() -> Attribution:
        pos = current_position(len(tokens_of_run()))
        return _attribution(*run(), token_id, pos, chosen.against)

    a, b = of_both(split)
    if not (a.is_exact and b.is_exact):
        raise ComparisonError("A logit of one of them is no plain sum of parts.")
    if len(a.attention) != len(b.attention):
        raise ComparisonError(
            f"A has {len(a.attention)} layers and B {len(b.attention)}: there is no telling which "
            "of them stand for each other."
        )
    name = escape_markdown(token_name(token_id))
    heading(f"B - A of what adds up to “{name}”", help=HELP)
    st.markdown(in_words(a, b, name))
    layers = [str(layer) for layer in range(len(a.attention))]
    figure = drawing(
        difference_heatmap,
        np.stack([b.attention - a.attention, b.feedforward - a.feedforward]),
        rows=KINDS,
        columns=layers,
        row_title="part",
        column_title="layer",
        measure="score that it adds",
        shares=False,
    )
    chart(figure, key="layers_parts_between", alt=f"B - A of the parts of the logit of {name}")
    csv_button(lambda: table_of(a, b), "logit_parts_b_minus_a")


def in_words(a: Attribution, b: Attribution, name: str) -> str:
    """Say how far apart the scores are, and which part has the largest share in that."""
    parts: dict[tuple[str | int, ...], float] = {}
    parts["the embedding",] = b.embedding - a.embedding
    for layer in range(len(a.attention)):
        parts["attention", layer] = float(b.attention[layer] - a.attention[layer])
        parts["feedforward", layer] = float(b.feedforward[layer] - a.feedforward[layer])
    most = max(parts, key=lambda one: abs(parts[one]))
    whole = signed(b.logit - a.logit)
    said = f"From A to B the score of {name} changes by **{whole}**. "
    if not parts[most]:
        return f"{said}Every part adds the same."
    return (
        f"{said}The largest share comes from **{' '.join(map(str, most))}**: {signed(parts[most])}."
    )


def table_of(a: Attribution, b: Attribution) -> pd.DataFrame:
    """Return the parts of both as a table, for download."""
    of = [
        [one.embedding, one.constant, *one.attention.tolist(), *one.feedforward.tolist()]
        for one in (a, b)
    ]
    n_layers = len(a.attention)
    frame = pd.DataFrame(
        {
            "part": ["embedding", "bias", *(kind for kind in KINDS for _ in range(n_layers))],
            "layer": [None, None, *(2 * [*range(n_layers)])],
            "a": of[0],
            "b": of[1],
        }
    ).astype({"layer": "Int64"})
    return frame.assign(b_minus_a=frame["b"] - frame["a"])
