"""The Positions page in a real browser: the slider turns the arrows without asking the server."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

ARROWS = "() => document.querySelector('.st-key-positions_rotation .js-plotly-plot').data[2].x"
SCORE = "() => document.querySelector('.st-key-positions_rotation .js-plotly-plot').data[4].y[0]"


def open_positions(open_browser, app_url, link="", **size) -> Page:
    page = open_browser(f"{app_url}/where-is-each-token{link}", **size)
    expect(page.locator(".st-key-positions_rotation .scatterlayer").first).to_be_visible()
    return page


def drag_slider(page: Page) -> None:
    slider = page.locator(".st-key-positions_rotation .slider-rail-touch-rect")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])


@pytest.mark.slow
def test_slider_moves_the_query_and_the_score(open_browser, app_url):
    page = open_positions(open_browser, app_url)
    arrows, score = page.evaluate(ARROWS), page.evaluate(SCORE)
    drag_slider(page)
    page.wait_for_function(f"([f, old]) => ({SCORE})() !== old", arg=["", score])
    assert page.evaluate(ARROWS) != arrows
    expect(page.get_by_text("Move one, and the score changes")).to_be_visible()


@pytest.mark.slow
def test_moving_both_turns_the_arrows_and_keeps_the_score(open_browser, app_url):
    page = open_positions(open_browser, app_url)
    page.get_by_role("radio", name="query and key together").click()
    expect(page.get_by_text("Move both, nothing changes.")).to_be_visible()
    settle(page)
    page.wait_for_function(f"() => Math.abs(({ARROWS})().length) > 0")
    arrows, score = page.evaluate(ARROWS), page.evaluate(SCORE)
    drag_slider(page)
    before = page.evaluate("x => JSON.stringify(x)", arrows)
    page.wait_for_function(f"old => JSON.stringify(({ARROWS})()) !== old", arg=before)
    assert abs(page.evaluate(SCORE) - score) < 1e-9


@pytest.mark.slow
def test_deeper_view_is_drawn_when_it_is_opened(open_browser, app_url):
    page = open_positions(open_browser, app_url, width=400)
    assert page.locator(".st-key-positions_swap").count() == 0
    page.get_by_role("tab", name="Swap two tokens").click()
    expect(page.locator(".st-key-positions_swap .barlayer")).to_be_visible()
    expect(page.locator(".st-key-positions_rotation")).to_have_count(0)
    expect(page.get_by_text(re.compile("of the probability went to other tokens"))).to_be_visible()
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 400


@pytest.mark.slow
def test_a_copied_link_opens_the_same_view(open_browser, app_url):
    page = open_positions(open_browser, app_url)
    page.get_by_role("radio", name="query and key together").click()
    expect(page.get_by_text("Move both, nothing changes.")).to_be_visible()
    page.get_by_role("combobox", name="Key token").click()
    page.get_by_role("option", name="1: Lily").click()
    expect(page.get_by_role("figure", name="and key 1, turned by")).to_be_visible()
    other = open_positions(open_browser, page.url.split("/where")[0], f"?{page.url.split('?')[1]}")
    expect(other.get_by_role("figure", name="and key 1, turned by")).to_be_visible()
    expect(other.get_by_role("radio", name="query and key together")).to_be_checked()


@pytest.mark.slow
def test_a_long_text_is_measured_when_asked_and_stays(open_browser, app_url):
    page = open_browser(f"{app_url}/where-is-each-token?positions.tab=longer&positions.times=1")
    page.get_by_role("button", name="Measure").click()
    figure = page.get_by_role("figure", name="Mean loss of predicting a token")
    expect(figure).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Measure")).to_have_count(0)
    settle(page)
    page.reload()
    expect(figure).to_be_visible()
