"""A class: a teacher and students, each in a session of their own, on one server."""

import pytest

from model_hooks.experiments.untrained import open_model
from pages.teach import attending
from pages.teach.answered import counts, table
from pages.widgets.download import csv_of
from tests.pages.conftest import opened, switched, view_of, widget

NAME = "from-prompt-to-next-token"


@pytest.fixture
def real_models(open_with):
    open_with(open_model)


@pytest.fixture(autouse=True)
def no_classes_before():
    attending.classes.cache_clear()


def press(app, key):
    found = [one for one in app.button if one.key == key]
    assert len(found) == 1, [one.key for one in app.button]
    found[0].click().run()
    assert not app.exception
    return app


def said(app):
    drawn = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(one.value for one in drawn)


def teacher_of(lesson=NAME):
    app = switched(opened(), "lessons")
    if lesson:
        press(app, f"lessons.teach.{lesson}")
    press(app, "lessons.start_class")
    return app, view_of(app).attends


def student_of(code, **more):
    app = opened(prompt="Lily and Tim went to the lighthouse. Lily and", code=code, **more)
    assert not app.exception
    return app


def test_a_class_guesses_sees_and_follows(real_models):
    teacher, of = teacher_of()
    assert of.teacher
    press(switched(teacher, "lessons"), "lessons.teach_first")
    ben = student_of(of.code)
    assert view_of(ben).course.lesson == NAME
    assert view_of(ben).course.focus
    assert "you are student 1" in said(ben)
    silent = student_of(of.code)
    assert "you are student 2" in said(silent)
    assert of.teacher not in str(view_of(ben).attends)

    widget(ben, "course.guess").set_value("Ben").run()
    overview = attending.classes().overview(of.code, of.teacher)
    assert counts(overview, "1") == [("ben", 1, False)]
    switched(teacher, "forward_pass")
    assert "2 students here · 1 of them guessed this" in said(teacher)

    press(teacher, "class.reveal")
    assert view_of(teacher).course.shown
    for student in (ben, silent):
        assert not view_of(student).course.shown
        student.run()
        assert view_of(student).course.shown
    assert "You said `Ben`" in said(ben)
    assert "97.9%" in said(silent)
    ben.run()  # says by now that it is shown

    press(teacher, "class.lead")
    press(teacher, "lesson.next")
    switched(teacher, "lm_head")
    ben.run()
    assert (view_of(ben).course.step, view_of(ben).pos) == (2, 2)
    assert not view_of(ben).course.shown
    assert view_of(ben).attends.teacher == ""
    assert view_of(ben).attends.student
    press(ben, "lesson.back")
    assert view_of(ben).course.guess == "Ben"

    overview = attending.classes().overview(of.code, of.teacher)
    rows = table(overview)
    assert next(iter(rows[rows.student == 1].guess)) == "ben"
    assert list(rows[rows.step == 1].right)[:1] == ["no"]
    assert counts(overview, "1")[0] == ("ben", 1, False)

    again = student_of(of.code, student=view_of(ben).attends.student, lesson=NAME, step=1)
    assert "you are student 1" in said(again)

    press(switched(teacher, "lessons"), "lessons.end_class")
    assert view_of(teacher).attends.code == ""
    ben.run()
    assert "The class is over" in said(ben)
    assert view_of(ben).attends.code == ""
    assert not ben.exception


def test_a_wrong_code_is_one_sentence(open_page):
    app = open_page(code="ABCDEFGH")
    assert not app.exception
    assert "There is no class" in said(app)
    assert view_of(app).attends.code == ""
    app = open_page(code="ABCDEFGH", teacher="x")
    assert not app.exception
    assert "No class belongs to this teacher's link" in said(app)
    assert view_of(app).attends.teacher == ""


def test_a_class_without_a_lesson_follows_pages(open_page):
    teacher, of = teacher_of(lesson="")
    student = student_of(of.code)
    assert view_of(student).course.lesson == ""
    press(switched(teacher, "attention"), "class.lead")
    student.run()
    assert student.title[0].value == "Attention"
    overview = attending.classes().overview(of.code, of.teacher)
    student.run()
    overview = attending.classes().overview(of.code, of.teacher)
    assert overview.students[0].place == "attention"
    press(student, "class.leave")
    assert view_of(student).attends.code == ""


def test_guesses_reach_a_spreadsheet_as_text(real_models):
    teacher, of = teacher_of()
    student = student_of(of.code)
    widget(student, "course.guess").set_value("=1+1").run()
    frame = table(attending.classes().overview(of.code, of.teacher))
    assert ",'=1+1," in csv_of(frame)
    assert teacher


@pytest.mark.slow
def test_who_types_too_many_wrong_codes_waits(open_page):
    _, of = teacher_of(lesson="")
    for _ in range(6):
        assert "There is no class" in said(open_page(code="WRNGWRNG"))
    app = open_page(code=of.code)
    assert not app.exception
    assert "Too many wrong codes" in said(app)


def test_the_code_of_another_process_leads_there(open_page, monkeypatch):
    monkeypatch.setenv("INLOOK_PROCESS_LETTER", "A")
    app = open_page(code="BCDEFGHJK")
    assert not app.exception
    assert "another process" in said(app)
    assert [one.proto.url for one in app.get("link_button")] == ["?code=BCDEFGHJK"]
    mistyped = open_page(code="ACDEFGHJK")
    assert "There is no class" in said(mistyped)
    assert not mistyped.get("link_button")
    assert not mistyped.exception
