"""How did a class guess at one place, and which guesses are right? Counted, and as a table."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from pages.state.view import View
from pages.state.visit import view
from pages.teach import guess_first
from pages.teach.classes import Overview, Student
from pages.teach.lesson import Guess, Lesson
from pages.teach.reading import lessons
from pages.teach.truth import Found, look, number_in, offered_guesses, verdict, view_of
from pages.text import visible

NUMBERS = ("number", "share", "bits", "bytes")
MOST_BARS = 12
"""Further answers are counted together."""
OTHERS = "other answers"
COLUMNS = ("student", "step", "title", "question", "guess", "right", "shown")


class Count(NamedTuple):
    """An answer that was given, and how often."""

    says: str
    n: int
    is_right: bool


def guess_at(lesson: Lesson | None, place: str) -> Guess | None:
    """Return what is guessed at a place, where something is."""
    if lesson is not None:
        return lesson.step(int(place)).guess if place.isdecimal() else None
    asked = None if place in guess_first.WITHOUT else guess_first.asked_on(place)
    return asked and asked.guess


def n_answered(students: Iterable[Student], place: str) -> int:
    """Count who has said something at a place."""
    return sum(bool(guess) for guess in _guesses(students, place))


def counts(overview: Overview, place: str) -> list[Count]:
    """Count the guesses at a place, the most frequent first.

    Which are right is asked of the model, once all may know.
    """
    lesson = lessons().get(overview.lesson)
    if (guess := guess_at(lesson, place)) is None:
        return []
    given = [one for one in _guesses(overview.students, place) if one]
    labels = _offered(guess, lesson, place)
    right: set[str] = set()
    if place in overview.revealed:
        found = _truth(lesson, place)
        are_right = [one for one in set(given) if verdict(guess, one, found).is_right == "yes"]
        right = {_said(guess, labels, one) for one in are_right}
    ranked = Counter(_said(guess, labels, one) for one in given).most_common()
    shown = [Count(says, n, says in right) for says, n in ranked[:MOST_BARS]]
    if rest := sum(n for _, n in ranked[MOST_BARS:]):
        shown.append(Count(OTHERS, rest, False))
    return shown


def table(overview: Overview) -> pd.DataFrame:
    """Return all that was guessed, one line for each student and place."""
    lesson = lessons().get(overview.lesson)
    places = sorted({place for one in overview.students for place in one.guesses}, key=_order)
    rows = [row for place in places for row in _rows(overview, lesson, place)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(overview: Overview, lesson: Lesson | None, place: str) -> Iterable[tuple]:
    if (guess := guess_at(lesson, place)) is None:
        return
    step, title = None, place
    labels, found = {}, {}  # without a lesson, each student's text is another one
    if lesson is not None:
        step, title = int(place), lesson.step(int(place)).title
        labels, found = _offered(guess, lesson, place), _truth(lesson, place)
    for student in overview.students:
        if (told := student.guesses.get(place)) is not None:
            says = _said(guess, labels, told.guess) if told.guess else ""
            right = verdict(guess, told.guess, found).is_right if found else ""
            yield student.number, step, title, guess.question, says, right, told.shown


def _order(place: str) -> tuple[int, str]:
    return (int(place), "") if place.isdecimal() else (0, place)


def _guesses(students: Iterable[Student], place: str) -> list[str]:
    return [one.guesses[place].guess.strip() for one in students if place in one.guesses]


def _offered(guess: Guess, lesson: Lesson | None, place: str) -> Mapping[str, str]:
    return offered_guesses(guess, _seen(lesson, place))


def _seen(lesson: Lesson | None, place: str) -> View:
    return view() if lesson is None else view_of(lesson, int(place))


def _truth(lesson: Lesson | None, place: str) -> dict[str, Found]:
    if lesson is not None:
        return look(lesson.step(int(place)), view_of(lesson, int(place)))
    return guess_first.truth(guess_first.asked_on(place))


def _said(guess: Guess, labels: Mapping[str, str], told: str) -> str:
    """Write a guess so that those who mean the same say the same."""
    if told in labels:
        return labels[told]
    if guess.kind in NUMBERS and (number := number_in(told)) is not None:
        return f"{number:g}{'%' if guess.kind == 'share' else ''}"
    return visible(told.strip().casefold())
