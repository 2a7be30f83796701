"""How is something guessed, and how is it said what came out? The same in lessons and without."""

import streamlit as st

from pages.state.view import View
from pages.teach.lesson import Guess
from pages.teach.truth import Verdict, offered_guesses
from pages.widgets.bind import bind

ASKING = "Asking the model…"
SHOW = "Show what happens"
SAYS = {
    "yes": ":green-badge[:material/check: Right]",
    "nearly": ":orange-badge[:material/check: Nearly]",
    "no": ":blue-badge[:material/lightbulb: Not so]",
    "unknown": ":gray-badge[:material/visibility: Shown]",
}
UNITS = {"share": " (in %)", "bits": " (in bits)", "bytes": " (in bytes)"}
BESIDE = """<style>@media (min-width: 1100px) {
  .stMainBlockContainer { padding-right: 24rem; padding-left: 2rem; } }</style>"""
"""The page leaves room for the panel as long as there is one."""
LOW = "<style>@media (max-width: 1099px) { .st-key-lesson_panel { max-height: 55vh; } }</style>"
"""Over the page, the panel leaves room for it once there is something to see."""


def leave_room(is_due: bool) -> None:
    """Let the page make room for the panel.

    Args:
        is_due: Whether a guess is waited for, so that the page shows nothing yet.
    """
    st.html(BESIDE if is_due else BESIDE + LOW)


def guess_widget(guess: Guess, seen: View, field: str) -> None:
    """Draw what a guess is made with.

    Args:
        guess: What is guessed.
        seen: The view that it is about.
        field: The field of the view that keeps it.
    """
    label = f"Your guess{UNITS.get(guess.kind, '')}"
    if offered := offered_guesses(guess, seen):
        widget = st.radio if guess.kind == "choice" else st.selectbox
        options, write = list(offered), offered.__getitem__
        bind(widget, label, field, options=options, format_func=write, blank=True)
        return
    word = "a word or a piece of one" if guess.kind == "token" else "a number"
    bind(st.text_input, label, field, placeholder=f"Type {word}", max_chars=60)


def say(came: Verdict) -> None:
    """Show guess and truth side by side."""
    said = f"You said {came.guess}. " if came.guess else ""
    st.markdown(f"{SAYS[came.is_right]} {said}The model: **{came.truth}**.")
