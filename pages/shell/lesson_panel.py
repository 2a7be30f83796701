"""The lesson beside the page: what to look for, a guess to make first, and what came out."""

from collections.abc import Sequence

import streamlit as st

from model_hooks.opening.names import short_name
from pages.shell.guessing import ASKING, SHOW, guess_widget, leave_room, say
from pages.state.view import View
from pages.state.visit import put, uses, view
from pages.teach import moves
from pages.teach.lesson import Guess, Lesson, Step
from pages.teach.truth import false_claims, filled, look, verdict, view_of
from pages.text import escape_markdown
from pages.widgets.fragment import fragment

HINTS = ("A nudge", "Another hint", "Show me")


def draw() -> None:
    """Draw the panel, if a lesson is open."""
    if view().course.lesson and moves.open_lesson() is None:
        st.warning(f"There is no lesson “{escape_markdown(view().course.lesson)}” here.")
    if moves.open_lesson() is not None:
        _panel()


def _draw_panel() -> None:
    lesson, step = moves.open_lesson(), moves.open_step()
    if lesson is None or step is None:
        return
    leave_room(moves.guess_due() is not None)
    with st.container(key="lesson_panel"):
        _heading(lesson, number := lesson.nearest(view().course.step))
        st.markdown(f"**{step.title}**")
        if moves.model_changed():
            _other_model()
        _step(lesson, step)
        _ways_on(lesson, number)


def _heading(lesson: Lesson, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="lesson_heading"):
        st.caption(f"{lesson.title} · step {number} of {len(lesson.steps)}", width="stretch")
        uses("course.focus")
        if view().course.focus:
            st.button(
                "",
                key="lesson.all_controls",
                icon=":material/menu_open:",
                help="Show the sidebar and all controls, which the lesson has folded away.",
                type="tertiary",
                on_click=moves.with_all_controls,
            )
        st.button(
            "",
            key="lesson.end",
            icon=":material/close:",
            help="End the lesson: the page stays as it is.",
            type="tertiary",
            on_click=moves.end_lesson,
        )


def _other_model() -> None:
    st.caption(
        f":material/info: You have **{escape_markdown(short_name(view().model))}** open, and this "
        "step was written with another model. Its answers are computed anew, and it says what "
        "does not hold here."
    )
    st.button("Open its model", key="lesson.own_model", on_click=moves.own_model)


def _step(lesson: Lesson, step: Step) -> None:
    uses("course.shown", "course.guess", "course.hints", "model")
    is_shown = view().course.shown or step.guess is None
    seen = view_of(lesson, view().course.step, view().model)
    hints, found = step.hints[: view().course.hints], {}
    if is_shown or any("{" in text for text in (step.text, *hints)):
        with st.spinner(ASKING):
            found = look(step, seen)
    st.markdown(filled(step.text, found))
    if step.guess is not None:
        st.markdown(f":material/help: **{step.guess.question}**")
        if not is_shown:
            _ask(step.guess, seen, [filled(hint, found) for hint in hints], len(step.hints))
            return
        say(verdict(step.guess, view().course.guess, found))
    if step.reveal:
        st.markdown(filled(step.reveal, found))
    if faults := false_claims(step, found):
        st.warning(
            "With this model not all of this step holds: " + "; ".join(faults) + ".",
            icon=":material/report:",
        )


def _ask(guess: Guess, seen: View, hints: Sequence[str], n_hints: int) -> None:
    """Draw what a guess is made with, and the hints that were asked for."""
    guess_widget(guess, seen, "course.guess")
    for hint in hints:
        st.markdown(f":material/lightbulb: {hint}")
    with st.container(horizontal=True, gap="small"):
        st.button(
            SHOW,
            key="lesson.reveal",
            type="primary",
            on_click=moves.reveal,
            help="With a guess or without one.",
        )
        if (n := len(hints)) < n_hints:
            st.button(
                f"{HINTS[n]} ({n + 1} of {n_hints})",
                key="lesson.hint",
                on_click=put,
                args=({"course.hints": n + 1},),
            )


def _ways_on(lesson: Lesson, number: int) -> None:
    with st.container(horizontal=True, gap="small", key="lesson_ways"):
        _go(lesson, number - 1, "Back", ":material/arrow_back:")
        if number < len(lesson.steps):
            _go(lesson, number + 1, "Next step", ":material/arrow_forward:")
        else:
            st.button("Finish", key="lesson.finish", type="primary", on_click=moves.finish)
        st.button(
            "",
            key="lesson.view",
            icon=":material/replay:",
            help="Back to the lesson's view: its page, model and prompt, whatever you clicked.",
            on_click=moves.back_to_view,
        )


def _go(lesson: Lesson, number: int, label: str, icon: str) -> None:
    due = moves.guess_due() is not None
    st.button(
        label,
        key=f"lesson.{label.split()[0].lower()}",
        icon=icon,
        type="primary" if label != "Back" and not due else "secondary",
        disabled=number < 1,
        on_click=moves.go_to_step,
        args=(lesson.name, max(number, 1)),
    )


_panel = fragment(_draw_panel, key="lesson")
