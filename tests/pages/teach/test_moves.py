"""Steps of a lesson: how one was left stands in the link, whatever else a link says."""

from dataclasses import replace

import app  # noqa: F401 - declares the parts of the view
from pages.state.link import decode, encode
from pages.state.view import Attendance, Course, whole_view
from pages.teach.moves import at_step
from pages.teach.reading import lessons

NAME = "from-prompt-to-next-token"
LESSON = lessons()[NAME]


def reloaded(seen):
    return decode(whole_view(), encode(seen))


def test_a_guess_of_an_earlier_step_survives_a_reload_on_a_later_one():
    first = replace(whole_view()(), course=Course(NAME, 1, "a: b~c, Ben", shown=True, hints=2))
    second = reloaded(at_step(LESSON, 2, first))
    assert (second.course.step, second.course.guess, second.course.shown) == (2, "", False)
    third = reloaded(at_step(LESSON, 3, second))
    back = at_step(LESSON, 1, third).course
    assert (back.guess, back.shown, back.hints) == ("a: b~c, Ben", True, 2)


def test_another_lesson_begins_anew():
    first = replace(whole_view()(), course=Course(NAME, 1, "Ben", shown=True, stood=("2:1:0:x",)))
    other = lessons()["tokens"]
    assert at_step(other, 1, first).course == Course("tokens", 1)


def test_damage_in_a_link_is_left_out():
    stood = ("", "x", "1:1:0", "2:1:9999999999:x", "²:1:0:a", "3:1:0:kept")
    seen = replace(whole_view()(), course=Course(NAME, 1, stood=stood))
    assert at_step(LESSON, 3, seen).course.guess == "kept"
    assert at_step(LESSON, 2, seen).course.guess == ""


def test_a_step_keeps_what_is_the_visitors_own():
    own = {"attends": Attendance("CODE", "me"), "present": True, "keys": False}
    seen = replace(whole_view()(), **own, layer=2)
    there = at_step(LESSON, 2, seen)
    assert {name: getattr(there, name) for name in own} == own
    assert there.layer != 2
