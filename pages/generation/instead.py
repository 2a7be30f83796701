"""What could stand here instead? The candidates, each of which can be taken."""

import numpy as np
import streamlit as st

from pages.ask.writing import take_instead
from pages.generation.choice import Choice
from pages.state.visit import is_of_other
from pages.widgets.candidates import candidate_chart
from pages.widgets.offer import offer
from pages.widgets.words import token_names
from viz.decoding import Candidate
from viz.numbers import percent

N_TO_PICK = 50
"""Tokens offered for choosing by keyboard."""


def draw(rows: list[Candidate], choice: Choice, *, may_take: bool) -> None:
    """Draw the candidates, and let the reader take one by mouse or keyboard."""

    def take(token_id: int) -> None:
        take_instead(choice.pos, token_id)

    candidate_chart(
        rows,
        choice.token_id,
        key="generation.candidates",
        view="open" if choice.token_id is None else "picked",  # the legend needs room, too
        what=f"Candidates for token {choice.pos}",
        on_click=take if may_take else None,
    )
    if is_of_other():
        return
    if not may_take:
        st.caption("The prompt stays as it is; change it with **Edit** at the top.")
        return
    probabilities = choice.stages[-1].probabilities
    order = np.argsort(-choice.stages[0].scores, kind="stable")[:N_TO_PICK].tolist()
    names = token_names(order)
    what = "Take another token instead" if choice.token_id is not None else "Take a token yourself"
    offer(
        st.selectbox,
        f"{what}: choose here, or click its bar",
        order,
        take,
        key="generation.take",
        format_func=lambda i: f"{names[i]}   {percent(float(probabilities[i]))}",
        placeholder=f"The {len(order)} most probable ones",
        help="What was written from this position on stays as a branch.",
    )
