"""The Attention page in a real browser: choosing a head and a cell with the mouse and by key."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle

PAGE = "/what-each-head-reads"
PROMPT = "Tom saw a red ball. Sue saw a red ball."


def open_attention(open_browser, app_url, prompt=PROMPT, **view):
    page = open_browser(f"{app_url}{PAGE}?prompt={quote(prompt)}", **view)
    expect(page.locator(".st-key-attention_matrix .heatmaplayer image")).to_be_visible()
    return page


def heading(page, text):
    return page.get_by_role("heading", level=2, name=text)


def drawn(page):
    return page.evaluate(
        "() => document.querySelector('.st-key-attention_matrix .js-plotly-plot').data[0].y"
    )


def test_a_head_is_opened_by_click_and_by_keyboard_and_the_link_names_it(open_browser, app_url):
    page = open_attention(open_browser, app_url)
    grid = page.locator(".st-key-attention_grid")
    grid.get_by_role("button", name="Layer 2, head 1").click()
    expect(heading(page, "Layer 2, head 1")).to_be_visible()
    expect(page).to_have_url(re.compile("layer=2&head=1"))
    grid.get_by_role("button", name="Layer 2, head 1").press("ArrowRight")
    grid.get_by_role("button", name="Layer 2, head 2").press("Enter")
    expect(heading(page, "Layer 2, head 2")).to_be_visible()


@pytest.mark.slow
def test_a_click_on_a_cell_chooses_its_query_and_key(open_browser, app_url):
    page = open_attention(open_browser, app_url)
    labels = drawn(page)
    row, column = 6, 3
    box = page.locator(".st-key-attention_matrix .nsewdrag").first.bounding_box()
    cell = (
        box["x"] + box["width"] * (column + 0.5) / len(labels),
        box["y"] + box["height"] * (row + 0.5) / len(labels),
    )
    page.mouse.move(*cell)
    hover = page.locator(".st-key-attention_matrix .hoverlayer")
    expect(hover).to_contain_text(f"query {labels[row]}")
    expect(hover).to_contain_text(re.compile(r"attention weight \d\.\d{3}"))
    page.mouse.click(*cell)
    expect(page).to_have_url(re.compile(rf"pos={row}"))
    settle(page)
    key = page.get_by_role("combobox", name="Key token")
    expect(key).to_have_value(re.compile(re.escape(f"{labels[column]} (")))


@pytest.mark.slow
def test_sorted_heads_say_their_scores(open_browser, app_url):
    page = open_attention(open_browser, app_url)
    page.get_by_role("combobox", name="Sort heads by").click()
    page.get_by_role("option", name="Previous token").click()
    tiles = page.locator(".st-key-attention_grid .tile")
    expect(tiles.first).to_have_attribute(
        "aria-label", re.compile(r"Layer \d+, head \d+: \d\.\d\d")
    )
    labels = tiles.evaluate_all("tiles => tiles.map(tile => tile.getAttribute('aria-label'))")
    scores = [float(label.rsplit(": ")[1]) for label in labels]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.slow
def test_a_long_prompt_on_a_narrow_dark_screen_stays_inside_it(open_browser, app_url):
    page = open_attention(open_browser, app_url, PROMPT * 12, width=400, scheme="dark")
    overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    strip = page.locator(".st-key-attention_tokens .strip")
    assert strip.bounding_box()["height"] < 320
