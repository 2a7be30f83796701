"""How did a class guess? A bar for each answer, as it is known now."""

from collections.abc import Sequence

import streamlit as st

from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from viz import guess_bars
from viz.numbers import counted


def guess_chart(answers: Sequence[tuple[str, int, bool]], *, key: str) -> None:
    """Draw it.

    Args:
        answers: What was said, how often, and whether all know by now that it is right.
        key: The chart's key.
    """
    if not answers:
        st.caption("Nobody has guessed yet.")
        return
    labels, counts, is_right = zip(*answers, strict=True)
    first = f"{answers[0][0]} ({counted(answers[0][1], 'student')})"
    alt = f"Guesses of the class: {counted(len(answers), 'answer')}, the most frequent is {first}"
    chart(drawing(guess_bars, labels, counts, is_right), key=key, alt=alt)
