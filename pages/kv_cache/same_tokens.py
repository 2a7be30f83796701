"""Did both runs write the same tokens, and how far apart are their logits?"""

import streamlit as st

from model_hooks import ModelInfo
from model_hooks.experiments.race import SideBySide
from model_hooks.read.recorded import each_token
from pages.ask.computed import computed
from pages.text import escape_markdown, visible
from viz.numbers import counted

DIGITS = {"float32": 7, "float64": 16, "float16": 3, "bfloat16": 2}
"""Significant digits of a number format, about."""

_each_token = computed(each_token)


def draw(pair: SideBySide, model_name: str, info: ModelInfo, n_rounds: int = 1) -> None:
    """Say whether both runs wrote the same tokens; where they parted, say why."""
    if pair.parted_at is not None:
        st.warning(_why_they_part(pair, model_name, info), icon=":material/call_split:")
        return
    in_rounds = f" in {n_rounds} rounds" if n_rounds > 1 else ""
    st.markdown(
        f":material/check_circle: **Same tokens in all {counted(len(pair), 'step')}{in_rounds}.** "
        f"Largest difference of any of the {info.vocab_size:,} logits: "
        f"**{pair.largest_difference or 0:.2g}**.",
        help=_why_not_zero(info),
    )


def _why_they_part(pair: SideBySide, model_name: str, info: ModelInfo) -> str:
    step = pair.parted_at or 0
    on, off = pair.on.steps[step], pair.off.steps[step]
    names = _each_token(model_name, (on.token_id, off.token_id))
    written, instead = (escape_markdown(visible(name)) for name in names)
    why = (
        f"There the two best tokens were only {min(on.margin, off.margin):.2g} apart"
        if pair.on.decoding.strategy == "greedy"
        else "There the random draw fell close to the border between two tokens"
    )
    return (
        f"The texts part at step {step + 1}: {written} with the cache, {instead} without. {why}, "
        f"and rounding in {info.dtype} changes logits by up to {pair.largest_difference or 0:.2g}: "
        "both answers are right to the precision of this number format. From there on the runs "
        "write different texts."
    )


def _why_not_zero(info: ModelInfo) -> str:
    digits = DIGITS.get(info.dtype)
    holds = f" holds about {digits} significant digits" if digits else " holds few digits"
    return (
        f"Not exactly 0, because {info.dtype}{holds}, and a product of one row is added up in "
        "another order than a product of many rows: the last digits differ. Tokens differ only "
        "where the two best are closer than that."
    )
