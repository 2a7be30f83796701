"""How does this visitor take part in a class? By the code in their view, and what they hear of it.

A student's page asks from time to time whether the class has changed (`listen`), and draws itself
anew only if it has. The teacher's tells what the teacher looks at (`tell`).
"""

from dataclasses import dataclass, replace
from functools import cache

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.server.settings import process_letter, settings
from pages.server.visitors import person
from pages.state.kept import Kept
from pages.state.mailbox import Message
from pages.state.view import Attendance, Course, GuessFirst, View
from pages.state.visit import page_name, put, redraw_window, show, view
from pages.teach import guess_first, moves
from pages.teach.classes import (
    MOST_CLASSES,
    MOST_STUDENTS,
    MOST_WRONG,
    MOST_WRONG_OF_ADDRESS,
    ClassError,
    Classes,
    Guessed,
    Joined,
    Led,
    Overview,
    Told,
    plain_code,
)
from pages.teach.reading import lessons

SAYS = Message[str]("classes.says")
"""What a visitor is told once: a wrong code, or that the class is over."""
ELSEWHERE = Message[str]("classes.elsewhere")
"""The code of a class that another process of this server may have."""
OVER = "The class is over: nothing of it was kept. All pages stay open to you."
NOT_YOURS = (
    "No class belongs to this teacher's link: it is over, or it runs in another process of this "
    "server."
)


@dataclass(frozen=True)
class _Place:
    """A student's place in a class, and what was heard and said there."""

    joined: Joined
    heard: int
    led: int = 0
    said: tuple[str, Guessed] | None = None


_MINE = Kept[_Place]("classes.mine")


@cache
def classes() -> Classes:
    """Return all classes of this process."""
    return Classes(
        settings().at_most("classes", MOST_CLASSES),
        settings().at_most("students", MOST_STUDENTS),
        process_letter(),
    )


def mine() -> Joined | None:
    """Return this visitor's place as a student."""
    place = _MINE.get()
    return place and place.joined


def taught() -> Overview | None:
    """Return the class that this visitor teaches."""
    of = view().attends
    return classes().overview(of.code, of.teacher) if of.teacher else None


def enter() -> None:
    """Take in a visitor who comes with a code; a student goes to the lesson's first step."""
    of = view().attends
    if of.teacher:
        if not classes().is_teacher(of.code, of.teacher):
            _leave(NOT_YOURS)
            st.rerun()
        return
    place = _MINE.get()
    if not of.code:
        _MINE.drop()
    elif place is None or place.joined.code != of.code:
        _join(of)


def _join(of: Attendance) -> None:
    session = _session()
    try:
        joined = classes().join(
            of.code,
            of.student,
            session=session,
            person=person() or "",
            who=_who(),
            is_open=_is_open,
        )
    except ClassError as error:
        _leave(str(error))
        if classes().is_elsewhere(of.code):
            ELSEWHERE.leave(plain_code(of.code))
        st.rerun()
    _MINE.put(_Place(joined, joined.version))
    after = replace(view(), attends=Attendance(joined.code, joined.secret))
    lesson = lessons().get(joined.lesson)
    if lesson is not None and after.course.lesson != lesson.name:
        course = Course(lesson.name, focus=True)
        after = replace(moves.at_step(lesson, 1, after), course=course)
        moves.GO_TO.leave(lesson.step(1).page)
    show(after, now=False)
    st.rerun()


def _who() -> tuple[tuple[str, int], ...]:
    """Whom to count a wrong code for."""
    address = st.context.ip_address  # None on this machine itself, where a proxy may stand
    address = address if isinstance(address, str) else ""
    return (f"browser {person()}", MOST_WRONG), (f"address {address}", MOST_WRONG_OF_ADDRESS)


def _session() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.session_id


def _is_open(session: str) -> bool:
    return Runtime.exists() and Runtime.instance().is_active_session(session)


def _leave(says: str = "") -> None:
    """Be in no class any more."""
    _MINE.drop()
    if says:
        SAYS.leave(says)
    show(replace(view(), attends=Attendance()), now=False)


def join(typed: str) -> None:
    """Come into the class of a code that was typed; a callback."""
    put({"attends.code": plain_code(typed) or typed[:20], "attends.student": ""})
    redraw_window()


def leave() -> None:
    """Leave the class; the lesson stays; a callback."""
    _leave()
    redraw_window()


def start(lesson: str) -> None:
    """Open a class and teach it; a callback."""
    try:
        opened = classes().start(lesson, person() or "" if settings().public else "")
    except ClassError as error:
        SAYS.leave(str(error))
        return
    attends = Attendance(opened.code, teacher=opened.key)
    show(replace(view(), attends=attends))
    redraw_window()


def close() -> None:
    """End the class that this visitor teaches; a callback."""
    of = view().attends
    classes().close(of.code, of.teacher)
    _leave(OVER)
    redraw_window()


def reveal() -> None:
    """Show all who stand where the teacher stands the answer, and the teacher, too; a callback."""
    of = view().attends
    classes().reveal(of.code, of.teacher, place_of(view(), page_name()))
    after = _revealed(view(), page_name())
    show(after)
    redraw_window()


def lead(leads: bool) -> None:
    """Let the students' views follow from now on, or no more; a callback."""
    of = view().attends
    classes().lead(of.code, of.teacher, leads)
    tell()


def tell() -> None:
    """Let those who follow see what the teacher sees, but for the list of lessons."""
    if (of := view().attends).teacher and page_name() != moves.LIST:
        seen = replace(view(), attends=Attendance(), present=False, keys=True)
        course = Course(seen.course.lesson, seen.course.step)
        first = GuessFirst(seen.first.guess_first)
        led = Led(page_name(), replace(seen, course=course, first=first))
        classes().show(of.code, of.teacher, led)


def place_of(seen: View, page: str) -> str:
    """Name where somebody stands: a step of a lesson, or a page."""
    lesson = lessons().get(seen.course.lesson)
    return page if lesson is None else str(lesson.nearest(seen.course.step))


def listen() -> None:
    """Say where this student stands, and hear what is new; ends the run if something is."""
    place = _MINE.get()
    if place is None:
        return
    said = place_of(view(), page_name()), _guessed()
    if said != place.said:
        classes().say(place.joined.code, place.joined.secret, *said)
        place = replace(place, said=said)
        _MINE.put(place)
    told = classes().told(place.joined.code, place.joined.secret)
    if told is None:
        _leave(OVER)
        redraw_window()
    elif told.version != place.heard:
        _MINE.put(replace(place, heard=told.version, led=told.led_version))
        _follow(place, told)


def _guessed() -> Guessed:
    if moves.open_lesson() is not None:
        return Guessed(view().course.guess, view().course.shown)
    is_shown = guess_first.question() is not None and not guess_first.is_due()
    return Guessed(view().first.guessed, is_shown)


def _follow(place: _Place, told: Told) -> None:
    before, page = view(), page_name()
    after = before
    if told.led is not None and told.led_version > place.led:
        page, after = told.led.page, _led(told.led.view, before)
    if told.revealed.get(place_of(after, page), 0) > place.heard:
        after = _revealed(after, page)
    if after == before and page == page_name():
        return
    show(after, now=False)
    if page != page_name():
        moves.GO_TO.leave(page)
    redraw_window()


def _led(led: View, own: View) -> View:
    """See what the teacher sees; guesses stay a student's own."""
    lesson = lessons().get(led.course.lesson)
    if lesson is None:
        course = Course(focus=own.course.focus)
    else:
        course = moves.at_step(lesson, led.course.step, own).course
    first = replace(own.first, guess_first=led.first.guess_first)
    return replace(moves.with_own(led, own, course), first=first)


def _revealed(seen: View, page: str) -> View:
    if lessons().get(seen.course.lesson) is not None:
        return replace(seen, course=replace(seen.course, shown=True))
    return replace(seen, first=replace(seen.first, seen=guess_first.looked_at(seen, page)))
