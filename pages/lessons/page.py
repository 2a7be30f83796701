"""Lessons: which are there, how long do they take, and what does a teacher need for one?"""

import streamlit as st

from pages.lessons import in_class, notes
from pages.lessons.choices import Choices
from pages.state.visit import part, put, uses
from pages.teach import moves
from pages.teach.lesson import Lesson
from pages.teach.reading import faulty, lessons
from pages.text import escape_markdown
from pages.widgets.guess_switch import guess_first_switch
from pages.widgets.heading import page_title
from viz.numbers import counted


def draw() -> None:
    """Draw the list, or the notes on one lesson."""
    uses("lessons.teach")
    if (lesson := lessons().get(part(Choices).teach)) is not None:
        notes.draw(lesson)
        return
    page_title("Lessons")
    n_minutes = sum(lesson.minutes for lesson in lessons().values())
    st.markdown(
        "**What can I learn here, and in which order?** A lesson stands beside the real pages: it "
        "says what to look at, lets you guess, and then shows what the model does. Nothing is "
        "locked: skip what you like, click what you like. All "
        f"{counted(len(lessons()), 'lesson')} take about {counted(n_minutes, 'minute')}."
    )
    in_class.draw()
    guess_first_switch()
    for number, lesson in enumerate(lessons().values(), 1):
        _row(number, lesson)
    for fault in faulty():
        st.error(escape_markdown(fault), icon=":material/error:")


def _row(number: int, lesson: Lesson) -> None:
    with st.container(border=True, key=f"lessons.{lesson.name}"):
        words, ways = st.columns([5, 2], vertical_alignment="center")
        words.markdown(f"**{number}. {lesson.title}** · {lesson.minutes} minutes")
        words.caption(lesson.goal)
        with ways.container(horizontal=True, horizontal_alignment="right"):
            st.button(
                "Begin",
                key=f"lessons.begin.{lesson.name}",
                icon=":material/play_arrow:",
                on_click=moves.go_to_step,
                args=(lesson.name, 1),
            )
            st.button(
                "Notes for teachers",
                key=f"lessons.teach.{lesson.name}",
                icon=":material/school:",
                type="tertiary",
                on_click=put,
                args=({"lessons.teach": lesson.name},),
            )
