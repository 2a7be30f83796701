"""What lies between two runs in this choice, and along both texts? Distances, and what moved."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ComparisonError
from model_hooks.read.between import OTHER_VOCABULARY, Apart, apart, kl_bits, total_variation
from model_hooks.read.recorded import each_token, tokens_of
from model_hooks.text.alignment import both
from model_hooks.write.stages import rank_of
from pages.ask.computed import computed
from pages.ask.pair import is_one_vocabulary, of_both, of_pair, places, runs
from pages.ask.session import run, tokens_of_run
from pages.lm_head.seen import look
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.chart import chart
from pages.widgets.controls import current_position
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import before_after_bars, lines_by_place, most_changed, place_labels
from viz.numbers import bits, percent, signed

N_TOKENS = 8
DISTANCE_HELP = (
    "**KL(A||B)** (Kullback-Leibler divergence): how many more bits each token costs on average "
    "for who expects what B does, where A is right. 0: the same; without end: B rules out what A "
    "may pick. KL(B||A) is the other way round, and mostly another number. **Total variation**: "
    "how much probability lies on other tokens, from 0 to 100%."
)
ALONG_HELP = (
    "After every token of both texts, straight from the models: how far apart what they expect to "
    "come next is, in bits. Where one text has more tokens, there is nothing to compare."
)

_apart = computed(apart, says="Comparing both runs…")
_each_token = computed(each_token)
_tokens_of = computed(tokens_of)


class Distances(NamedTuple):
    """How far apart two distributions are."""

    kl_ab: float
    kl_ba: float
    total_variation: float


def draw_choice() -> None:
    """Draw the candidates of A and B in one picture, and say how far apart the choices are.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    if not is_one_vocabulary():
        raise ComparisonError(OTHER_VOCABULARY)
    a, b = of_both(lambda: look(run(), tokens_of_run(), current_position(len(tokens_of_run()))))
    p, q = a.stages[-1].probabilities, b.stages[-1].probabilities
    found = distances(p, q)
    st.markdown(in_words(found), help=DISTANCE_HELP)
    ids = [int(token_id) for token_id in most_changed(p, q, N_TOKENS)]
    names = [visible(token) for token in _each_token(view().model, tuple(ids))]
    chart(
        drawing(before_after_bars, names, p[ids], q[ids], "B", before_name="A"),
        key="lm_head_pair",
        alt="Probabilities of the next token in A and in B, with the options of each",
    )
    frame = table_of(ids, names, (a.logits, b.logits), (p, q))
    with st.expander("Changed ranks, in numbers"):
        st.dataframe(frame, hide_index=True)
    csv_button(frame, "candidates_a_b")


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
