"""A lesson beside its pages: guess, picture, next step, reload, Back, at two widths."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

pytestmark = pytest.mark.slow
PANEL = ".st-key-lesson_panel"


def press(page: Page, name: str) -> None:
    page.locator(PANEL).get_by_role("button", name=name).click()
    settle(page)


def test_a_lesson_is_walked_through_and_kept_by_link(open_browser, app_url):
    page = open_browser(f"{app_url}/?lesson=from-prompt-to-next-token")
    settle(page)
    expect(page.get_by_text("Guess first.")).to_be_visible()
    expect(page.get_by_text("97.9%")).to_have_count(0)
    page.get_by_role("textbox", name="Your guess").fill("Ben")
    press(page, "Show what happens")
    expect(page.locator(PANEL).get_by_text("You said")).to_contain_text("Ben")
    expect(page.locator(".st-key-text_bar").get_by_text("97.9%")).to_be_visible()

    press(page, "Next step")
    expect(page.get_by_role("heading", level=1)).to_have_text("LM head")
    press(page, "Back")
    expect(page.get_by_role("heading", level=1)).to_have_text("Forward pass")
    expect(page.locator(PANEL).get_by_text("You said")).to_contain_text("Ben")

    press(page, "Next step")
    press(page, "A nudge")
    page.reload()
    settle(page)
    expect(page.locator(PANEL).get_by_text("What has it read by then?")).to_be_visible()
    page.locator(PANEL).get_by_text("No, another name").click()
    press(page, "Show what happens")
    expect(page.locator(PANEL).get_by_text("Right")).to_be_visible()


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (400, False)])
def test_the_panel_covers_nothing_of_the_page(open_browser, app_url, width, beside):
    address = f"{app_url}/?lesson=from-prompt-to-next-token&shown=1"
    page = open_browser(address, width=width, height=800)
    expect(page.locator(PANEL).get_by_role("button", name="Next step")).to_be_visible()
    settle(page)
    panel = page.locator(PANEL).bounding_box()
    title = page.get_by_role("heading", level=1).bounding_box()
    bar = page.locator(".st-key-text_bar").bounding_box()
    if beside:
        assert max(box["x"] + box["width"] for box in (title, bar)) <= panel["x"] + 1
    else:
        assert bar["y"] + bar["height"] <= panel["y"] + 1
        assert panel["y"] + panel["height"] <= title["y"] + 1
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= width
