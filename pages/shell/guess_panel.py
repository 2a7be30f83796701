"""Guess first: what the open page is about to show, hidden until somebody has guessed it."""

import streamlit as st

from pages.ask import writing
from pages.ask.session import prompt_run_if_any
from pages.shell.guessing import ASKING, SHOW, guess_widget, leave_room, say
from pages.state.visit import put, uses, view
from pages.teach import guess_first
from pages.teach.moves import open_lesson
from pages.teach.truth import verdict
from pages.widgets.fragment import fragment


def draw() -> None:
    """Draw the panel, where guessing is on and no lesson asks its own questions."""
    if open_lesson() is None and guess_first.question() is not None:
        _panel()


def _draw_panel() -> None:
    if (asked := guess_first.question()) is None:
        return
    uses("first.guessed", "model", "prompt", "written", "pos", "interventions")
    if (run := prompt_run_if_any()) is not None:
        writing.current_draft(run)  # a step that was asked for makes another text of it
    is_due = guess_first.is_due()
    leave_room(is_due)
    with st.container(key="lesson_panel"):
        with st.container(horizontal=True, vertical_alignment="center", key="lesson_heading"):
            st.caption("Guess first", width="stretch")
            st.button(
                "",
                key="guess.off",
                icon=":material/close:",
                help="Show everything at once again.",
                type="tertiary",
                on_click=put,
                args=({"first.guess_first": False},),
            )
        st.markdown(f":material/help: **{asked.guess.question}**")
        if is_due:
            guess_widget(asked.guess, view(), "first.guessed")
            st.button(SHOW, key="guess.reveal", type="primary", on_click=guess_first.reveal)
            return
        with st.spinner(ASKING):
            found = guess_first.truth(asked)
        say(verdict(asked.guess, view().first.guessed, found))
        st.caption("**Step** at the top, another token or another prompt asks anew.")


_panel = fragment(_draw_panel, key="guess")
