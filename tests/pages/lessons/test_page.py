"""The list of lessons, the notes for teachers, and a walk through a lesson beside its pages."""

import pytest

from model_hooks.experiments.untrained import open_model
from tests.pages.conftest import opened, switched, view_of, widget

NAME = "from-prompt-to-next-token"


@pytest.fixture
def real_models(open_with):
    open_with(open_model)


def press(app, key):
    found = [one for one in app.button if one.key == key]
    assert len(found) == 1, [one.key for one in app.button]
    return found[0].click().run()


def said(app):
    return "\n".join(one.value for one in [*app.markdown, *app.caption, *app.info, *app.warning])


def test_a_walk_through_a_lesson(real_models):
    app = opened(prompt="Lily and Tim went to the lighthouse. Lily and", lesson=NAME)
    assert not app.exception
    assert view_of(app).course.step == 1
    assert "Guess first" in said(app)
    assert "97.9%" not in said(app)

    press(app, "lesson.hint")
    assert "Who is there besides Lily?" in said(app)
    widget(app, "course.guess").set_value("Ben").run()
    press(app, "lesson.reveal")
    assert not app.exception
    assert "You said `Ben`" in said(app)
    assert "`·Tim` gets 97.9%" in said(app)
    assert "Guess first" not in said(app)

    press(app, "lesson.next")
    assert (view_of(app).course.step, view_of(app).pos) == (2, 2)
    assert "Guess first" in said(app)
    press(app, "lesson.back")
    assert view_of(app).course.guess == "Ben"
    assert view_of(app).course.shown
    press(app, "lesson.end")
    assert not app.exception
    assert view_of(app).course.lesson == ""
    assert not [one for one in app.button if one.key == "lesson.next"]


@pytest.mark.slow
def test_a_lesson_says_what_does_not_hold_for_another_model(real_models):
    app = opened(model="twin-rope", lesson=NAME, step=2, shown=1)
    assert not app.exception
    assert "written with another model" in said(app)
    assert "not all of this step holds" in said(app)
    press(app, "lesson.own_model")
    assert view_of(app).model == "storyteller"
    assert "not all of this step holds" not in said(app)


def test_back_to_the_view_of_the_lesson(open_page):
    app = open_page(lesson=NAME, step=2, shown=1, layer=1, pos=5)
    press(app, "lesson.view")
    assert not app.exception
    assert (view_of(app).pos, view_of(app).layer) == (2, 4)
    assert view_of(app).course.shown


def test_an_unknown_lesson_or_step_does_no_harm(open_page):
    app = open_page(lesson="no-such-lesson")
    assert not app.exception
    assert "no lesson" in said(app)
    app = open_page(lesson=NAME, step=99, shown=1)
    assert not app.exception
    assert "step 3 of 3" in said(app)


def test_the_list_and_the_notes(real_models):
    app = switched(opened(), "lessons")
    assert not app.exception
    press(app, f"lessons.teach.{NAME}")
    assert not app.exception
    assert "Answer, computed now:** `·Tim`" in said(app)
    assert app.code[0].value.endswith(f"/?lesson={NAME}")
    widget(app, "lessons.answers").set_value(False).run()
    assert "·Tim`" not in said(app)
    press(app, "lessons.open.2")
    assert not app.exception
    assert (view_of(app).course.lesson, view_of(app).course.step) == (NAME, 2)
