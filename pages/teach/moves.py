"""Where does this visitor stand in a lesson, and how do they get from step to step?

The view's `course` says it, so that a link, a reload and the browser's history bring it back.
"""

from dataclasses import replace

import streamlit as st

from pages.state.kept import Kept
from pages.state.mailbox import Message
from pages.state.view import Course, View, whole_view
from pages.state.visit import put, redraw_window, show, uses, view
from pages.teach.lesson import Guess, Lesson, Step
from pages.teach.reading import lessons
from pages.teach.truth import view_of

GO_TO = Message[str]("lessons.go_to")
"""The folder of a page that is to be opened before anything is drawn."""
LIST = "lessons"
"""The page that lists them."""
_BEGUN = Kept[bool]("lessons.begun")


def open_lesson() -> Lesson | None:
    """Return the lesson that is open, if there is one of that name."""
    uses("course.lesson", "course.step")
    return lessons().get(view().course.lesson)


def open_step() -> Step | None:
    """Return the step that is open."""
    lesson = open_lesson()
    return lesson and lesson.step(view().course.step)


def guess_due() -> Guess | None:
    """Return what is to be guessed before the picture is drawn; None once it may be seen."""
    uses("course.shown")
    step = open_step()
    return None if step is None or view().course.shown else step.guess


def go_to_step(name: str, number: int) -> None:
    """Open a step of a lesson, with its page and its view; a callback."""
    lesson = lessons()[name]
    show(at_step(lesson, number, view()), now=False)
    GO_TO.leave(lesson.step(number).page)
    redraw_window()


def at_step(lesson: Lesson, number: int, seen: View) -> View:
    """Return what a visitor sees at a step who comes from elsewhere: their guess there, too."""
    return with_own(view_of(lesson, number), seen, _at(seen.course, lesson.name, number))


def _at(here: Course, name: str, number: int) -> Course:
    """Move to another step: how this one is left stands in the link, so that a reload keeps it."""
    if here.lesson != name:
        return Course(name, number, focus=here.focus)
    stood = {**_stood(here), here.step: here}
    there = stood.pop(number, Course())
    left = tuple(
        f"{step}:{one.shown:d}:{one.hints}:{one.guess}"
        for step, one in sorted(stood.items())
        if one.shown or one.hints or one.guess
    )
    return replace(there, lesson=name, step=number, stood=left, focus=here.focus)


def _stood(here: Course) -> dict[int, Course]:
    """How other steps were left; what a link says and cannot be is left out."""
    found = {}
    for text in here.stood:
        step, shown, hints, guess = (text.split(":", 3) + [""] * 4)[:4]
        if step.isdecimal() and hints.isdecimal() and len(step + hints) < 9:
            found[int(step)] = Course(guess=guess, shown=shown == "1", hints=int(hints))
    return found


def with_own(wanted: View, seen: View, course: Course) -> View:
    """Keep what is the visitor's, whatever the view of a lesson or a teacher says."""
    own = {"attends": seen.attends, "present": seen.present, "keys": seen.keys}
    return replace(wanted, course=course, **own)


def back_to_view() -> None:
    """Open the step's page and view again, whatever was clicked since; a callback."""
    if (lesson := open_lesson()) is None:
        return
    here = view()
    show(with_own(view_of(lesson, here.course.step), here, here.course), now=False)
    GO_TO.leave(lesson.step(here.course.step).page)
    redraw_window()


def with_all_controls() -> None:
    """Unfold what is not the lesson's; a callback."""
    put({"course.focus": False})


def end_lesson() -> None:
    """Close the lesson; the page stays as it is; a callback."""
    show(replace(view(), course=Course()), now=False)
    redraw_window()


def finish() -> None:
    """Close the lesson and go back to the list of all; a callback."""
    show(replace(view(), course=Course()), now=False)
    GO_TO.leave(LIST)
    redraw_window()


def reveal() -> None:
    """Show what was asked for; a callback."""
    put({"course.shown": True})


def enter(page: str, front: str) -> None:
    """Take a visitor who comes by a lesson's link to its step.

    A link of a lesson names nothing else. One that says more (a reload, a step that was sent to
    somebody) is believed as it stands.
    """
    if _BEGUN.get():
        return
    _BEGUN.put(True)
    here: View = view()
    if (lesson := open_lesson()) is None or page != front:
        return
    if with_own(here, whole_view()(), Course()) == whole_view()():
        course = replace(here.course, focus=True)
        show(with_own(view_of(lesson, here.course.step), here, course), now=False)
        GO_TO.leave(lesson.step(here.course.step).page)
        st.rerun()


def model_changed() -> bool:
    """Whether another model is open than the one that the step is written for."""
    lesson = open_lesson()
    if lesson is None:
        return False
    uses("model")
    return view().model != view_of(lesson, view().course.step).model


def own_model() -> None:
    """Open the model that the step is written for; a callback."""
    if (lesson := open_lesson()) is not None:
        put(model=view_of(lesson, view().course.step).model)


def asks_for_guesses() -> bool:
    """Tell by the address whether something is guessed here, before the view is known."""
    return bool({"lesson", "guess_first"} & st.query_params.keys())
