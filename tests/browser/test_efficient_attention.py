"""The Efficient attention page in a real browser: patterns, tiles by key, and a stopped run."""

from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle

PAGE = "/cheaper-attention"
PROMPT = "Lily and Tim went to the beach. Lily and"


def open_efficient(open_browser, app_url, prompt=PROMPT, tab=None, **view):
    page = open_browser(f"{app_url}{PAGE}?prompt={quote(prompt)}", **view)
    if tab:
        page.get_by_role("tab", name=tab).click()
        settle(page)
    return page


@pytest.mark.slow
def test_a_pattern_changes_the_mask_and_the_prediction(open_browser, app_url):
    page = open_efficient(open_browser, app_url)
    mask = page.locator(".st-key-efficient_mask")
    expect(mask.locator(".heatmaplayer image")).to_be_visible()
    expect(page.get_by_role("figure", name="as it is and with a window of 7")).to_be_visible()
    page.get_by_role("radio", name="Blocks").click()
    expect(page.get_by_role("figure", name="as it is and with blocks of 7")).to_be_visible()
    page.get_by_role("radio", name="Full").click()
    expect(page.get_by_role("figure", name="66 of 66 pairs")).to_be_visible()


@pytest.mark.slow
def test_tiles_are_stepped_through_by_key(open_browser, app_url):
    page = open_efficient(open_browser, app_url, tab="Move less memory")
    expect(page.get_by_text("Step 1 of 21.")).to_be_visible()
    expect(page.locator(".st-key-efficient_distance .scatterlayer")).to_be_visible()
    settle(page)
    page.get_by_role("heading", level=1).click()  # tabs keep letters to themselves
    page.keyboard.press("j")
    expect(page.get_by_text("Step 2 of 21.")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_text("Step 1 of 21.")).to_be_visible()
    expect(page.get_by_text("Checked: the last tile's output equals")).to_be_visible()


@pytest.mark.slow
def test_a_measurement_draws_what_it_found_and_can_be_stopped(open_browser, app_url):
    page = open_efficient(open_browser, app_url, tab="Move less memory")
    page.get_by_role("radio", name="Measure this machine").click()
    settle(page)
    page.get_by_role("button", name="Measure", exact=True).click()
    figure = page.get_by_role("figure", name="Time and peak memory")
    expect(figure).to_be_visible(timeout=60_000)
    page.locator(".st-key-efficient_stop").get_by_role("button").first.click()
    expect(page.locator(".st-key-efficient_measure button").first).to_be_enabled()
    expect(figure).to_be_visible()


@pytest.mark.slow
def test_a_long_prompt_on_a_narrow_dark_screen_stays_inside_it(open_browser, app_url):
    page = open_efficient(open_browser, app_url, PROMPT * 12, width=400, scheme="dark")
    for tab in ("Read fewer tokens", "Share keys and values", "Move less memory"):
        page.get_by_role("tab", name=tab).click()
        settle(page)
        overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0


@pytest.mark.slow
def test_a_copied_link_shows_the_same_tiles(open_browser, app_url):
    page = open_efficient(open_browser, app_url, tab="Move less memory")
    page.get_by_role("button", name="Next tile").click()
    expect(page.get_by_text("Step 2 of 21.")).to_be_visible()
    other = open_browser(page.url)
    expect(other.get_by_text("Step 2 of 21.")).to_be_visible()
    other.get_by_role("radio", name="Count trips to memory").click()
    expect(other.get_by_role("figure", name="Bytes moved by standard")).to_be_visible()
    other.go_back()
    expect(other.get_by_text("Step 2 of 21.")).to_be_visible()
