"""What stands around a page: less at the projector and in a frame; keys about the window."""

import re

import pytest
from playwright.sync_api import Page, expect

import app
from tests.browser.driving import button, expect_prompt, settle, tokens_in_bar

pytestmark = pytest.mark.slow
LESSON = "from-prompt-to-next-token"
PANEL = ".st-key-lesson_panel"
SMALLEST_PX = 16
SMALL = """(smallest) => {
  const found = [];
  const look = (root) => {
    for (const at of root.querySelectorAll("*")) {
      if (at.shadowRoot) look(at.shadowRoot);
      const says = [...at.childNodes].filter((one) => one.nodeType === 3);
      const text = says.map((one) => one.textContent).join("").replaceAll("\\u200b", "").trim();
      const { width, height } = at.getBoundingClientRect();
      const isText = text && !["STYLE", "SCRIPT", "NOSCRIPT", "TITLE"].includes(at.tagName);
      if (!isText || width < 2 || height < 2) continue;
      const px = parseFloat(getComputedStyle(at).fontSize) * (at.currentCSSZoom ?? 1);
      if (px < smallest - 0.01) found.push(`${text.slice(0, 40)}: ${px}`);
    }
  };
  look(document.body);
  return found;
}"""


CUT = """() => [...document.querySelectorAll(".stButtonGroup > [data-rac], .stMain .stButton p")]
  .filter((at) => at.clientWidth && at.scrollWidth > at.clientWidth + 1)
  .map((at) => at.textContent)"""
"""Choices and buttons whose words do not fit."""

every_page = pytest.mark.parametrize(
    "place", [place for group in app.PAGES.values() for place in group], ids=lambda one: one.folder
)


@every_page
def test_at_twice_the_size_nothing_lies_beyond_the_edge(open_browser, app_url, place):
    address = "" if place.folder == app.FRONT else place.address
    # Zoomed to 200 %, a window of 1280 pixels has room for 640.
    page = open_browser(f"{app_url}/{address}", width=640, height=400)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    settle(page)
    wide = "document.querySelector('.stMain').scrollWidth"
    assert page.evaluate(f"Math.max({wide}, document.documentElement.scrollWidth)") <= 640
    assert page.evaluate(CUT) == []


@every_page
def test_nothing_is_small_at_the_projector(open_browser, app_url, place):
    address = "" if place.folder == app.FRONT else place.address
    page = open_browser(f"{app_url}/{address}?present=1", width=1920, height=1080)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.locator(".inlook-chart.waiting")).to_have_count(0)
    settle(page)
    assert page.evaluate(SMALL, SMALLEST_PX) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_glides_for_who_wants_no_motion(open_browser, app_url):
    page = open_browser(f"{app_url}/what-each-head-reads")
    settle(page)
    longest = """Math.max(...[...document.querySelectorAll("*")].flatMap((at) => {
      const { transitionDuration, animationDuration } = getComputedStyle(at);
      return `${transitionDuration},${animationDuration}`.split(",").map(parseFloat);
    }))"""
    page.wait_for_function(f"() => {longest} === 0")
    page.emulate_media(reduced_motion="no-preference")
    page.wait_for_function(f"() => {longest} > 0")


def test_small_letters_are_noticed(page: Page):
    assert page.evaluate(SMALL, SMALLEST_PX)


def test_keys_at_the_projector(open_browser, app_url):
    page = open_browser(f"{app_url}/?lesson={LESSON}&shown=1", width=1920, height=1080)
    expect(tokens_in_bar(page)).to_have_count(14)
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile("present=1"))
    settle(page)
    expect(page.locator(PANEL)).to_contain_text("step 1 of 3")
    for key, step in [("PageDown", 2), ("PageUp", 1), ("l", 2), ("Shift+L", 1)]:
        page.wait_for_timeout(500)  # as people do: they look before they press
        page.keyboard.press(key)
        expect(page.locator(PANEL)).to_contain_text(f"step {step} of 3")
        settle(page)
    page.keyboard.press("n")
    expect(tokens_in_bar(page)).to_have_count(15)
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")
    page.reload()
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.locator(".st-key-present-off button").first.click()
    settle(page)
    expect(page).not_to_have_url(re.compile("present=1"))


def test_letters_are_letters_where_something_is_typed(open_browser, app_url):
    page = open_browser(app_url)
    page.get_by_role("button", name="Edit the prompt").click()
    page.get_by_role("textbox", name="Prompt").fill("")
    page.keyboard.type("plf")
    page.get_by_role("button", name="Use this prompt").click()
    settle(page)
    expect_prompt(page, "plf")
    expect(page).not_to_have_url(re.compile("present=1"))


def test_a_page_in_a_frame_has_no_sidebar_and_works(open_browser, app_url):
    page = open_browser(f"{app_url}/what-each-head-reads?embed=1&layer=2")
    expect(page).to_have_url(re.compile(r"embed=true&layer=2"))
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_hidden()
    button(page, "step").click()
    expect(page).to_have_url(re.compile("written="))
    settle(page)
    page.reload()
    settle(page)
    expect(page).to_have_url(re.compile("embed=true"))
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()


def test_one_step_of_a_lesson_is_one_step_of_the_history(open_browser, app_url):
    page = open_browser(f"{app_url}/?lesson={LESSON}&shown=1")
    settle(page)
    page.locator(PANEL).get_by_role("button", name="Next step").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("LM head")
    settle(page)
    page.go_back()
    settle(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Forward pass")
    expect(page.locator(PANEL)).to_contain_text("step 1 of 3")
    page.go_forward()
    settle(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("LM head")


def test_escape_closes_the_dialog_after_a_download(open_browser, app_url):
    page = open_browser(f"{app_url}/what-each-head-reads")
    page.get_by_role("button", name="Take it away").click()
    dialog = page.get_by_role("dialog")
    with page.expect_download():
        dialog.get_by_role("button", name="Figures as a web page").click()
    settle(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_without_a_text_begins_below_the_edge(open_browser, app_url, width):
    page = open_browser(f"{app_url}/guess-before-you-see", width=width)
    assert page.get_by_role("heading", level=1).bounding_box()["y"] > 16
