"""How probable is every token of the vocabulary, and where do the filters cut?"""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks.read.recorded import each_token
from pages.ask.computed import computed
from pages.lm_head.seen import Seen, settings_of
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.words import token_name
from viz import ranked_distribution
from viz.numbers import percent

HELP = (
    "Every token of the vocabulary, the most probable first. On a log scale each step to the "
    "right or down is ten times as far or as small: the long tail of hardly possible tokens is "
    "what top-k, top-p and min-p cut off."
)

_each_token = computed(each_token, keep=False)


def draw(seen: Seen) -> None:
    """Draw every token by rank."""
    raw, final = seen.stages[0].probabilities, seen.stages[-1].probabilities
    chart(
        ranked_distribution(raw, final, token_name, chosen=seen.followed),
        key="lm_head_ranked",
        alt=f"The probabilities of all {len(raw):,} tokens by rank, on a log scale",
    )
    st.caption(cut_note(seen))
    csv_button(lambda: table_of(seen), "distribution")


def cut_note(seen: Seen) -> str:
    """Say what the filters leave."""
    raw, final = seen.stages[0].probabilities, seen.stages[-1].probabilities
    n_left = int((final > 0).sum())
    if seen.decoding.strategy == "greedy" and n_left == len(final):
        return "Greedy decoding cuts nothing off: it takes the first of all, whatever follows."
    if n_left == len(final):
        return "No filter is on: every token can be drawn, be it ever so improbable."
    kept = percent(round(float(raw[final > 0].sum()), 9))
    return (
        f"With {settings_of(seen.decoding)}, {n_left:,} of {len(raw):,} tokens are left. They had "
        f"{kept} of the model's own probability; the softmax shares out the whole among them."
    )


def table_of(seen: Seen) -> pd.DataFrame:
    """Return every token of the vocabulary after every stage, for download."""
    order = np.argsort(-seen.logits, kind="stable")
    columns: dict = {
        "rank": np.arange(1, len(order) + 1),
        "token_id": order,
        "token": _each_token(seen.asked.model_name, tuple(order.tolist())),
    }
    for stage in seen.stages:
        columns[f"score_{stage.name}"] = stage.scores[order]
        columns[f"probability_{stage.name}"] = stage.probabilities[order]
    return pd.DataFrame(columns)
