"""How does one come into a class, start one, and see how it does? Codes, links and guesses."""

from collections import Counter
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from pages.state.mailbox import reported
from pages.state.visit import put, view
from pages.teach import answered, attending, moves
from pages.teach.classes import Overview, spoken
from pages.teach.lesson import Lesson
from pages.teach.reading import lessons
from pages.widgets.bind import bind
from pages.widgets.download import csv_button
from pages.widgets.fragment import fragment
from pages.widgets.guess_chart import guess_chart
from pages.widgets.heading import heading
from viz.numbers import counted

LOOK_S = 2.0
"""So often the numbers of a class are looked up."""
CODE = "lessons.code"


def draw() -> None:
    """Draw the class that is taught, or the ways into one."""
    if view().attends.teacher:
        _taught()
    elif attending.mine() is None:
        _ways_in()


def _ways_in() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="lessons_class"):
        form = st.form(f"{CODE}.form", border=False, enter_to_submit=True, width="content")
        with form.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                "Code of a class",
                key=CODE,
                placeholder="ABCD-EFGH",
                max_chars=20,
                width=180,
                help="Your teacher tells it. No name and no account are needed.",
            )
            st.form_submit_button("Join", on_click=lambda: attending.join(reported(CODE) or ""))
        start_button(None)


def start_button(lesson: Lesson | None) -> None:
    """Draw what starts a class, where this visitor has none."""
    if view().attends.teacher:
        return
    st.button(
        "Start a class" if lesson is None else "Start a class with this lesson",
        key="lessons.start_class",
        icon=":material/groups:",
        on_click=_start,
        args=("" if lesson is None else lesson.name,),
        help="Students join by a link or a code; you see live where they are and how they guess.",
    )


def _start(lesson: str) -> None:
    put({"lessons.teach": ""}, now=False)
    attending.start(lesson)


def here() -> str:
    """Return the address of this server, as the visitor calls it."""
    scheme, _, rest = (st.context.url or "").partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if rest else ""


def _taught() -> None:
    of = view().attends
    lesson = lessons().get(overview.lesson) if (overview := attending.taught()) else None
    with st.container(border=True, key="lessons_taught"):
        heading(f"Your class: {spoken(of.code)}")
        about = f"the lesson “{lesson.title}”" if lesson else "looking around freely"
        st.markdown(
            f"It is about {about}. Students open this link, or type the code on the page "
            "**Lessons**; nobody needs a name or an account:"
        )
        st.code(f"{here()}/?{urlencode({'code': of.code})}", language=None, wrap_lines=True)
        _numbers()
        with st.container(horizontal=True):
            if lesson is not None:
                st.button(
                    "Open the first step",
                    key="lessons.teach_first",
                    type="primary",
                    on_click=moves.go_to_step,
                    args=(lesson.name, 1),
                )
            csv_button(lambda: _answers(of.code, of.teacher), "class")
            st.button(
                "End the class",
                key="lessons.end_class",
                icon=":material/stop_circle:",
                on_click=attending.close,
                help="All that was guessed is forgotten: fetch the answers before.",
            )
        with st.expander("Your own link"):
            st.markdown(
                "It brings you back as the teacher, after a reload or on another computer. Whoever "
                "has it can teach: **keep it to yourself**. Your address bar holds it, too."
            )
            own = urlencode({"code": of.code, "teacher": of.teacher})
            st.code(f"{here()}/?{own}", language=None, wrap_lines=True)


def _answers(code: str, key: str) -> pd.DataFrame:
    """Collect what was guessed when somebody asks for it."""
    overview = attending.classes().overview(code, key)
    return answered.table(overview or Overview(code, "", (), frozenset(), False))


def _draw_numbers() -> None:
    if (overview := attending.taught()) is None:
        st.rerun()
    n_here = sum(one.is_here for one in overview.students)
    st.markdown(f"**{counted(len(overview.students), 'student')}** joined, {n_here} here now.")
    lesson = lessons().get(overview.lesson)
    if lesson is None:
        _pages(overview)
    else:
        _steps(overview, lesson)


def _pages(overview: Overview) -> None:
    at = Counter(one.place for one in overview.students if one.is_here and one.place)
    for page, n in at.most_common():
        st.markdown(f"- {page.replace('_', ' ').capitalize()}: {counted(n, 'student')}")


def _steps(overview: Overview, lesson: Lesson) -> None:
    at = Counter(one.place for one in overview.students if one.is_here)
    rows = ["| Step | here | guessed | shown |", "|---|---|---|---|"]
    for number, step in enumerate(lesson.steps, 1):
        place = str(number)
        said = [one.guesses[place] for one in overview.students if place in one.guesses]
        guessed = sum(bool(one.guess) for one in said) if step.guess else "-"
        shown = sum(one.shown for one in said) if step.guess else "-"
        rows.append(f"| {number}. {step.title} | {at[place]} | {guessed} | {shown} |")
    st.markdown("\n".join(rows))
    asking = {n: step.guess.question for n, step in enumerate(lesson.steps, 1) if step.guess}
    if not asking:
        return
    shown = bind(
        st.selectbox,
        "Guesses at",
        "lessons.guesses_at",
        options=list(asking),
        format_func=lambda number: f"{number}. {asking[number]}",
    )
    guess_chart(answered.counts(overview, str(shown)), key="lessons.guesses")


_numbers = fragment(_draw_numbers, run_every=LOOK_S)
