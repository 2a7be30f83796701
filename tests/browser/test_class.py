"""A class through a whole lesson: a teacher, and three students of whom one never answers."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

pytestmark = pytest.mark.slow
PANEL = ".st-key-lesson_panel"
LESSON, N_STEPS = "from-prompt-to-next-token", 3
POLL_MS = 2500


def press(page: Page, name: str, within: str = "body") -> None:
    page.locator(within).get_by_role("button", name=name).first.click()
    settle(page)


def start_class(page: Page) -> str:
    """Start a class with the lesson; return its code."""
    page.locator(f".st-key-lessons-teach-{LESSON} button").first.click()
    press(page, "Start a class with this lesson")
    expect(page.get_by_role("heading", name="Your class")).to_be_visible()
    expect(page).to_have_url(re.compile("teacher="))
    return re.search(r"code=(\w+)", page.url)[1]


def expect_step(page: Page, number: int) -> None:
    expect(page.locator(PANEL)).to_contain_text(f"step {number} of {N_STEPS}")


def test_a_class_through_a_whole_lesson(open_browser, app_url):
    teacher = open_browser(f"{app_url}/guess-before-you-see")
    code = start_class(teacher)
    link = f"{app_url}/?code={code}"
    ann = open_browser(link)
    bob = open_browser(f"{app_url}/guess-before-you-see", width=400, height=800)
    bob.get_by_role("textbox", name="Code of a class").fill("abcd-efgh")
    press(bob, "Join")
    expect(bob.get_by_text("There is no class")).to_be_visible()
    bob.get_by_role("textbox", name="Code of a class").fill(f"{code[:4].lower()}-{code[4:]}")
    press(bob, "Join")
    silent = open_browser(link)
    students = (ann, bob, silent)
    for student in students:
        expect_step(student, 1)
        expect(student.get_by_test_id("stSidebar")).to_be_hidden()
        assert "teacher" not in student.url

    press(teacher, "Open the first step")
    row = teacher.locator(".st-key-class_bar")
    expect(row).to_contain_text("3 students here · 0 of them guessed this")
    ann.locator(PANEL).get_by_role("textbox", name="Your guess").fill("Ben")
    ann.keyboard.press("Enter")
    bob.locator(PANEL).get_by_role("textbox", name="Your guess").fill("tim")
    bob.keyboard.press("Enter")
    expect(row).to_contain_text("2 of them guessed this")
    press(ann, "Show what happens")
    expect(ann.locator(PANEL)).to_contain_text("You said Ben")

    ann.reload()
    settle(ann)
    expect(ann.locator(".st-key-class_bar")).to_contain_text("you are student 1")
    expect(row).to_contain_text("3 students here")
    teacher.reload()
    settle(teacher)
    expect(row).to_contain_text("3 students here · 2 of them guessed this")

    press(teacher, "Show all", ".st-key-class_bar")
    expect(bob.locator(PANEL)).to_contain_text("Right")
    expect(silent.locator(PANEL)).to_contain_text("Shown")
    press(teacher, "Guesses", ".st-key-class_bar")
    chart = teacher.get_by_role("figure", name="Guesses of the class")
    expect(chart).to_contain_text("✓ tim")
    expect(chart).to_contain_text("ben")
    teacher.keyboard.press("Escape")

    press(teacher, "All follow me", ".st-key-class_bar")
    press(teacher, "Next step", PANEL)
    for student in students:
        expect_step(student, 2)
        expect(student.get_by_role("heading", level=1)).to_have_text("LM head")
    press(ann, "Back", PANEL)
    expect(ann.locator(PANEL)).to_contain_text("You said Ben")
    press(teacher, "Next step", PANEL)
    for student in students:
        expect_step(student, 3)
    press(teacher, "Show all", ".st-key-class_bar")
    for student in students:
        expect(student.locator(PANEL)).to_contain_text("Shown")

    teacher.get_by_role("link", name="The class").click()
    settle(teacher)
    taught = teacher.locator(".st-key-lessons_taught")
    expect(taught).to_contain_text("3 students joined")
    teacher.wait_for_timeout(POLL_MS)
    with teacher.expect_download() as download:
        taught.get_by_role("button", name="Data as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "student,step,title,question,guess,right,shown"
    assert [line.split(",")[-3:] for line in lines if line.startswith("1,1,")] == [
        ["ben", "no", "True"]
    ]
    assert sum(line.endswith(",yes,True") for line in lines) == 1
    press(teacher, "End the class")
    for student in students:
        expect(student.get_by_text("The class is over")).to_be_visible()
        expect(student).not_to_have_url(re.compile("code="))
    late = open_browser(link)
    expect(late.get_by_text("There is no class")).to_be_visible()


def test_a_lessons_link_folds_away_what_distracts_and_a_click_brings_it_back(open_browser, app_url):
    page = open_browser(f"{app_url}/?lesson={LESSON}")
    expect_step(page, 1)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.locator(".st-key-text_bar-examples")).to_be_hidden()
    page.reload()
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.locator(".st-key-lesson-all_controls button").first.click()
    settle(page)
    expect(page.locator(".st-key-text_bar-examples")).to_be_visible()
    expect_step(page, 1)
