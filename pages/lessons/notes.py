"""What does a teacher need for a lesson? Goal, minutes, answers computed now, what to ask a class.

Without the answers it is a handout: the page prints as it stands.
"""

from urllib.parse import urlencode

import streamlit as st

from pages.lessons.in_class import here, start_button
from pages.state.visit import put
from pages.teach import moves
from pages.teach.lesson import Guess, Lesson, Step
from pages.teach.truth import Found, false_claims, filled, look, truth_of, view_of
from pages.text import code_span, escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.fragment import fragment
from pages.widgets.heading import page_title

LINE = "_" * 40
"""To write on, on paper."""


def draw(lesson: Lesson) -> None:
    """Draw the notes on a lesson."""
    st.button(
        "All lessons",
        key="lessons.all",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=put,
        args=({"lessons.teach": ""},),
    )
    page_title(lesson.title)
    st.markdown(
        f"**What is to be learnt?** {lesson.goal} About {lesson.minutes} minutes, "
        f"{len(lesson.steps)} steps, made for {' and '.join(map(code_span, lesson.models))}."
    )
    if lesson.corrects:
        said = " · ".join(f"“{one}”" for one in lesson.corrects)
        st.markdown(f"**What it corrects:** {said}")
    st.markdown("**A link for the class**, which opens the first step on every screen:")
    st.code(link_of(lesson), language=None, wrap_lines=True)
    start_button(lesson)
    _steps(lesson)


@fragment
def _steps(lesson: Lesson) -> None:
    shows = bind(
        st.toggle,
        "With the answers",
        "lessons.answers",
        help="Switch it off and print the page: that is the handout.",
    )
    for number, step in enumerate(lesson.steps, 1):
        with st.container(border=True, key=f"lessons.step_{number}"):
            _step(lesson, number, step, shows)


def _step(lesson: Lesson, number: int, step: Step, shows: bool) -> None:
    seen = view_of(lesson, number)
    words, way = st.columns([6, 1], vertical_alignment="center")
    words.markdown(f"**{number}. {step.title}**")
    way.button(
        "Open",
        key=f"lessons.open.{number}",
        type="tertiary",
        icon=":material/open_in_new:",
        on_click=moves.go_to_step,
        args=(lesson.name, number),
    )
    with st.spinner("Asking the model…"):
        found = look(step, seen) if shows or "{" in step.text else {}
    st.markdown(filled(step.text, found))
    st.caption(f"Model: {escape_markdown(seen.model)}. Prompt: {code_span(visible(seen.prompt))}")
    if step.guess:
        st.markdown(f"**Question:** {step.guess.question}")
        _options(step.guess)
    if shows:
        _answers(step, found)
    elif step.guess:
        st.markdown(f"My guess: {LINE}\n\nWhat the model did: {LINE}")


def _options(guess: Guess) -> None:
    if guess.options:
        st.markdown("\n".join(f"- {option.says}" for option in guess.options))


def _answers(step: Step, found: dict[str, Found]) -> None:
    if step.guess:
        st.markdown(f"**Answer, computed now:** {truth_of(step.guess, found)}")
    if step.reveal:
        st.markdown(filled(step.reveal, found))
    if step.hints:
        st.caption("Hints: " + " · ".join(filled(hint, found) for hint in step.hints))
    if step.discuss:
        st.markdown(f":material/forum: **Ask the class:** {filled(step.discuss, found)}")
    if faults := false_claims(step, found):
        st.warning("This does not hold here: " + "; ".join(faults) + ".")


def link_of(lesson: Lesson) -> str:
    """Return the address that opens a lesson at its first step."""
    return f"{here()}/?{urlencode({'lesson': lesson.name})}"
