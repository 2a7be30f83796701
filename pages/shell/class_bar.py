"""The class over the page: what its teacher steers it with, and what tells students they are in it.

A student's page asks for news in a fragment that draws nothing; the teacher's row is drawn anew.
"""

import streamlit as st

from pages.state.visit import page_name, view
from pages.teach import answered, attending, moves
from pages.teach.classes import Overview, spoken
from pages.teach.reading import lessons
from pages.text import escape_markdown
from pages.widgets.fragment import fragment
from pages.widgets.guess_chart import guess_chart
from pages.widgets.next_pages import link_page
from viz.numbers import counted

POLL_S = 2.0
"""So often a page of a class asks what is new."""


def draw() -> None:
    """Draw the row, where there is a class."""
    if says := attending.SAYS.take():
        st.info(escape_markdown(says), icon=":material/school:")
    if code := attending.ELSEWHERE.take():
        st.link_button("Open that class", f"?code={code}", icon=":material/groups:")
    if view().attends.teacher and page_name() != moves.LIST:
        with st.container(key="class_bar"):
            _steer()
    elif (joined := attending.mine()) is not None:
        with st.container(
            key="class_bar", horizontal=True, vertical_alignment="center", gap="small"
        ):
            st.caption(
                f":material/school: Class **{spoken(joined.code)}** · you are student "
                f"{joined.number}",
                width="stretch",
            )
            st.button("Leave", key="class.leave", type="tertiary", on_click=attending.leave)
        _listen()


_listen = fragment(attending.listen, run_every=POLL_S)


def _draw_steer() -> None:
    if (overview := attending.taught()) is None:
        st.rerun()  # it is over: `enter` says so
    attending.tell()
    place = attending.place_of(view(), page_name())
    here = [one for one in overview.students if one.is_here]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        says = f":material/school: Class **{spoken(overview.code)}**"
        says += f" · {counted(len(here), 'student')} here"
        if answered.guess_at(lessons().get(overview.lesson), place) is not None:
            says += f" · {answered.n_answered(here, place)} of them guessed this"
        st.caption(says, width="stretch")
        _steps(overview, place)
        link_page(moves.LIST, "The class", ":material/groups:")


def _steps(overview: Overview, place: str) -> None:
    lesson = lessons().get(overview.lesson)
    if answered.guess_at(lesson, place) is not None:
        st.button(
            "Show all",
            key="class.reveal",
            icon=":material/visibility:",
            help="Everybody who stands here sees what comes out, with a guess or without one.",
            on_click=attending.reveal,
        )
        guesses = st.popover("Guesses", key="class.guesses", on_change="rerun")
        if guesses.open:
            with guesses:
                guess_chart(answered.counts(overview, place), key="class.bars")
    st.button(
        "Let them go on alone" if overview.leads else "All follow me",
        key="class.lead",
        icon=":material/cast_for_education:",
        type="primary" if overview.leads else "secondary",
        help="While they follow, every student sees the page and the view that you see.",
        on_click=attending.lead,
        args=(not overview.leads,),
    )


_steer = fragment(_draw_steer, run_every=POLL_S)
