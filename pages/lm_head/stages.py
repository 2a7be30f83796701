"""How do scores become probabilities? Stage by stage, in numbers and formulas."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from model_hooks import Decoding, Stage
from model_hooks.write.decoding import way_through
from model_hooks.write.stages import rank_of
from pages.lm_head.answer import table_of
from pages.lm_head.seen import Seen, bold
from pages.widgets.candidates import candidate_table, rows_of
from pages.widgets.download import csv_button
from viz.numbers import counted, percent

HELP = (
    "What happens between the scores and the choice, in the order in which it happens. **Softmax** "
    "comes last: it makes all scores positive and divides them by their sum, so that they become "
    "probabilities."
)
LARGEST_EXPONENT = 300.0
"""Up to here a score's exponential is written out."""


def draw(seen: Seen) -> None:
    """Draw the table of all stages and the followed token's way through them, in formulas."""
    candidate_table(rows_of(seen.stages, seen.followed), seen.decoding, seen.followed)
    st.markdown(f"The way of {bold(seen.followed)}, with its own numbers:")
    for line in lines_of(seen.stages, seen.decoding, seen.followed):
        st.markdown(f"- {line}")
    csv_button(lambda: table_of(seen), "stages")


def lines_of(stages: Sequence[Stage], decoding: Decoding, token_id: int) -> list[str]:
    """Write one token's way through the stages, a line of Markdown per stage.

    Each line has the formula of its stage, filled with the token's numbers from the stage before.
    """
    raw, last = stages[0], stages[-1]
    place = f"rank {rank_of(raw.scores, token_id):,} of {len(raw.scores):,}"
    lines = [f"**Logit** $z = {float(raw.scores[token_id]):.4f}$, {place}"]
    lines += way_through(stages, decoding, token_id)
    lines.append(_softmax(last, token_id))
    if decoding.strategy == "greedy":
        is_best = int(last.scores.argmax()) == token_id
        which = "this one" if is_best else "another one, so this one is never taken"
        lines.append(
            f"**Greedy** takes the largest: {which}. Temperature and filters are not used."
        )
    return lines


def _softmax(stage: Stage, token_id: int) -> str:
    scores = stage.scores.astype(np.float64)
    z, p = float(scores[token_id]), float(stage.probabilities[token_id])
    if stage.removed[token_id]:
        return "**Softmax** a removed token gets the probability $0$"
    n_left = int((~stage.removed).sum())
    left = "one token" if n_left == 1 else counted(n_left, "token")
    highest = float(scores.max())
    shift = 0.0 if abs(highest) < LARGEST_EXPONENT else highest
    minus = f" - {highest:.4f}" if shift else ""
    total, top = float(np.exp(scores - shift).sum()), float(np.exp(z - shift))
    return (
        rf"**Softmax** over the {left} left: $\dfrac{{e^{{{z:.4f}{minus}}}}}"
        rf"{{\sum_j e^{{z_j{minus}}}}} = "
        rf"\dfrac{{{_scientific(top)}}}{{{_scientific(total)}}} = {p:.6f}$, or **{percent(p)}**"
    )


def _scientific(value: float) -> str:
    """Write a number as LaTeX, with a power of ten where it is very large or small."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.4f}"
    mantissa, exponent = f"{value:.4e}".split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"
