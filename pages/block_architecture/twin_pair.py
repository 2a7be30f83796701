"""Two twins side by side: how did they learn, and what does each make of the same prompt?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.arrays import softmax
from model_hooks.bundled import TrainingRun
from model_hooks.host import Run
from model_hooks.read.choice import surprisals
from model_hooks.read.recorded import each_token, last_logits, tokens_of
from pages.ask.computed import computed
from pages.block_architecture import trained
from pages.text import visible
from pages.widgets.before_after import BeforeAfter, draw_before_after
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.run_whole import say_twins_run_whole
from viz import loss_curves, probability_by_token
from viz.numbers import bits as in_bits

WAITS = "Reading the prompt with both…"
LEFT_OUT = 50
"""Steps of training that are not drawn: their losses are so large that they hide the rest."""

_surprisals = computed(surprisals, says=WAITS)
_last_logits = computed(last_logits, says=WAITS)
_tokens_of = computed(tokens_of)
_each_token = computed(each_token)


class Reading(NamedTuple):
    """How a twin reads a text."""

    tokens: tuple[str, ...]
    actual: Float[np.ndarray, "next"]
    """Probability of each token of the text but the first, before it came."""
    following: Float[np.ndarray, "vocab"]
    """Probabilities of what comes after the text."""


def draw(known: Sequence[TrainingRun]) -> None:
    """Let the reader choose two twins, and compare them."""
    bundled = trained.names_of_bundled()
    names = [twin.name for twin in known if twin.name in bundled or twin.steps]
    if len(names) < 2:
        st.info(trained.NO_TWINS, icon=":material/info:")
        return
    first, second = _pick_pair(known, names)
    if first == second:
        st.info("Choose two different twins.", icon=":material/info:")
        return
    _draw_change(known, first, second)
    _draw_curves(first, second)
    if {first, second} <= set(bundled):
        _draw_same_prompt(first, second)
    else:
        st.info(trained.NO_TWINS, icon=":material/info:")


def _pick_pair(known: Sequence[TrainingRun], names: Sequence[str]) -> tuple[str, str]:
    left, right = st.columns(2)
    second = bind(
        right.selectbox,
        "Twin",
        "block_architecture.second",
        options=names,
        when_none=names[1],
        keeps=True,
        help="The other one changes to the one it is compared with.",
    )
    first = bind(
        left.selectbox,
        "Compared with",
        "block_architecture.first",
        options=names,
        when_none=partner_of(second, known, names),
        keeps=True,
    )
    return first, second


def partner_of(name: str, known: Sequence[TrainingRun], names: Sequence[str]) -> str:
    """Return the twin that another one differs from in one choice; failing that, any other."""
    partners = [twin.compared_with for twin in known if twin.name == name]
    return next(one for one in [*partners, *names] if one in names and one != name)


def _draw_change(known: Sequence[TrainingRun], first: str, second: str) -> None:
    twins = {twin.name: twin for twin in known}
    if twins[second].compared_with == first:
        st.markdown(f"**The one change:** {twins[second].change}.")
    elif twins[first].compared_with == second:
        st.markdown(f"**The one change**, the other way round: {twins[first].change}.")
    else:
        st.caption("These two differ in more than one choice.")


def _draw_curves(first: str, second: str) -> None:
    found = [trained.curve_of(name) for name in (first, second)]
    curves = [curve for curve in found if curve is not None]
    if not curves:
        st.info(trained.NO_CURVES, icon=":material/info:")
        return
    chart(
        drawing(loss_curves, curves, from_step=LEFT_OUT),
        key="block_architecture.pair_curves",
        alt=f"Training loss of {first} and {second}",
    )
    ends = "; ".join(map(_end_of, (first, second)))
    st.caption(f"Bits per byte at the end: {ends}. The first {LEFT_OUT} steps are left out.")


def _end_of(name: str) -> str:
    bits = trained.final_bits(name)
    return f"{name} {trained.mean_of(bits, name)} (seeds: {trained.seeds_of(bits) or 'none'})"


def _read(asked: Run) -> Reading:
    return Reading(
        _tokens_of(asked.model_name, asked.token_ids),
        2.0 ** -_surprisals(*asked).bits[1:],
        softmax(_last_logits(*asked)),
    )


def _draw_same_prompt(first: str, second: str) -> None:
    one, other = map(_read, trained.asked_of_twins(first, second))
    st.markdown("**The same prompt through both**")
    say_twins_run_whole()
    if len(one.actual):
        _draw_tokens(one, other, first, second)
    shown = BeforeAfter(one.following, other.following, second, first)
    draw_before_after(
        shown,
        key="block_architecture.pair_next",
        names=lambda token_ids: _names_of(first, token_ids),
    )
    numbers_from(None, (2, len(one.following)), "softmax of the logits after the last position")


def _names_of(model_name: str, token_ids: list[int]) -> list[str]:
    return [visible(token) for token in _each_token(model_name, tuple(token_ids))]


def _draw_tokens(one: Reading, other: Reading, first: str, second: str) -> None:
    labels = [visible(token) for token in one.tokens[1:]]
    chart(
        drawing(probability_by_token, labels, one.actual, other.actual, (first, second), 1),
        key="block_architecture.pair_tokens",
        alt=f"Probability that {first} and {second} gave each token of the prompt",
    )
    bits = [-np.log2(np.maximum(reading.actual, 1e-12)).mean() for reading in (one, other)]
    st.caption(
        f"Surprise per token: {in_bits(bits[0])} with {first}, {in_bits(bits[1])} with {second}."
        + trained.cut_note(first, second)
    )
    csv_button(
        lambda: pd.DataFrame(
            {
                "pos": range(1, len(one.tokens)),
                "token": one.tokens[1:],
                first: one.actual,
                second: other.actual,
            }
        ),
        "twins_pair",
    )
