"""How far apart are two choices of a next token? Candidates of both, distances, changed ranks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ComparisonError, Stage
from model_hooks.read.between import OTHER_VOCABULARY, kl_bits, total_variation
from model_hooks.read.recorded import each_token
from model_hooks.write.stages import rank_of
from pages.ask.computed import computed
from pages.ask.pair import is_one_vocabulary, of_both
from pages.state.visit import view
from pages.text import visible
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz import before_after_bars, most_changed
from viz.numbers import bits, percent

N_TOKENS = 8
DISTANCE_HELP = (
    "**KL(A||B)** (Kullback-Leibler divergence): how many more bits each token costs on average "
    "for who expects what B does, where A is right. 0: the same; without end: B rules out what A "
    "may pick. KL(B||A) is the other way round, and mostly another number. **Total variation**: "
    "how much probability lies on other tokens, from 0 to 100%."
)

_each_token = computed(each_token)


class Distances(NamedTuple):
    """How far apart two distributions are."""

    kl_ab: float
    kl_ba: float
    total_variation: float


def draw_choices(stages_of: Callable[[], Sequence[Stage]], key: str) -> None:
    """Draw the candidates of A and B in one picture, and say how far apart the choices are.

    Args:
        stages_of: Asks for the stages of the choice of the run that is looked at.
        key: The chart's key, and the file's name.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    if not is_one_vocabulary():
        raise ComparisonError(OTHER_VOCABULARY)
    a, b = of_both(stages_of)
    p, q = a[-1].probabilities, b[-1].probabilities
    found = distances(p, q)
    st.markdown(in_words(found), help=DISTANCE_HELP)
    ids = [int(token_id) for token_id in most_changed(p, q, N_TOKENS)]
    names = [visible(token) for token in _each_token(view().model, tuple(ids))]
    chart(
        drawing(before_after_bars, names, p[ids], q[ids], "B", before_name="A"),
        key=key,
        alt="Probabilities of the next token in A and in B, with the options of each",
        has_table=True,
    )
    frame = table_of(ids, names, (a[0].scores, b[0].scores), (p, q))
    with st.expander("Changed ranks, in numbers"):
        st.dataframe(frame, hide_index=True)
    csv_button(frame, key)


def distances(p: Float[np.ndarray, "token"], q: Float[np.ndarray, "token"]) -> Distances:
    """Return how far apart two distributions are, with the options of each."""
    with np.errstate(divide="ignore"):
        log_p, log_q = np.log(p.astype(np.float64)[None]), np.log(q.astype(np.float64)[None])
    found = kl_bits(log_p, log_q), kl_bits(log_q, log_p), total_variation(p[None], q[None])
    return Distances(*(float(one[0]) for one in found))


def in_words(found: Distances) -> str:
    """Write the distances in one line."""
    ab, ba = (bits(kl) if np.isfinite(kl) else "without end" for kl in found[:2])
    return (
        f"**How far apart this choice is**, with the options of each: KL(A||B) **{ab}**, "
        f"KL(B||A) **{ba}**, total variation **{percent(found.total_variation)}**."
    )


def table_of(
    ids: list[int],
    names: list[str],
    logits: tuple[Float[np.ndarray, "token"], Float[np.ndarray, "token"]],
    probabilities: tuple[Float[np.ndarray, "token"], Float[np.ndarray, "token"]],
) -> pd.DataFrame:
    """Return what became of some tokens: ranks straight from the models, and probabilities."""
    ranks = [[rank_of(scores, token_id) for token_id in ids] for scores in logits]
    p, q = (values[ids] for values in probabilities)
    return pd.DataFrame(
        {
            "token_id": ids,
            "token": names,
            "rank in A": ranks[0],
            "rank in B": ranks[1],
            "probability in A": p,
            "probability in B": q,
            "B - A": q - p,
        }
    )
