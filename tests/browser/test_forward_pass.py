"""The forward pass page in a real browser, on the bundled model."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.browser.driving import settle

PICTURE = ".st-key-forward-flow .flow"


def lane_tokens(page):
    return page.locator(f"{PICTURE} .token")


def test_a_newcomer_sees_the_whole_way_from_prompt_to_next_token(page):
    expect(lane_tokens(page).first).to_be_visible()
    for stage in ("Tokenizer", "Embedding", "blocks", "LM head", "Choice"):
        expect(page.locator(f"{PICTURE} .head", has_text=stage)).to_be_visible()
    expect(page.locator(f"{PICTURE} .pick .text")).not_to_be_empty()
    expect(page.locator(f"{PICTURE} .bar-token.others")).to_contain_text("others")


def test_clicks_on_token_layer_and_stage_move_the_view(page):
    lane_tokens(page).nth(2).click()
    settle(page)
    expect(page).to_have_url(re.compile(r"pos=3"))  # a lane of this text is hidden
    page.locator(f"{PICTURE} .head", has_text="blocks").click()
    settle(page)
    expect(page.get_by_text("Block 4 for token 3")).to_be_visible()
    page.locator(f"{PICTURE} .layer").nth(1).click()
    settle(page)
    expect(page.get_by_text("Block 1 for token 3")).to_be_visible()
    expect(page).to_have_url(re.compile(r"stage=blocks"))
    expect(page.get_by_role("figure", name=re.compile("Mean attention pattern"))).to_be_visible()


def test_the_picture_works_with_the_keyboard(page):
    stage = page.locator(f"{PICTURE} .head", has_text="LM head")
    stage.focus()
    page.keyboard.press("Enter")
    settle(page)
    expect(page.get_by_role("radio", name=re.compile("LM head"))).to_be_checked()
    expect(stage).to_be_focused()


def click_square(page, layer):
    chart = page.locator(".st-key-forward-layers .js-plotly-plot")
    point = chart.locator(".scatterlayer path.point").nth(layer)
    expect(point).to_be_attached()
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle, steps=3)
    expect(chart.locator(".hoverlayer")).to_contain_text(f"layer {layer}")
    page.mouse.click(*middle)
    expect(page).to_have_url(re.compile(f"layer={layer}"))
    settle(page)


@pytest.mark.slow
def test_a_click_on_a_small_multiple_opens_its_layer_also_the_second_time(open_browser, app_url):
    page = open_browser(f"{app_url}/?stage=blocks")
    click_square(page, 2)
    page.locator(f"{PICTURE} .layer").nth(1).click()
    expect(page).to_have_url(re.compile("layer=1"))
    settle(page)
    click_square(page, 2)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_flow_from_top_to_bottom(open_browser, app_url, scheme):
    page = open_browser(app_url, width=400, scheme=scheme)
    cards = page.locator(f"{PICTURE} .card")
    expect(cards).to_have_count(5)
    settle(page)
    boxes = cards.evaluate_all("cards => cards.map(card => card.getBoundingClientRect().toJSON())")
    assert all(above["bottom"] <= below["top"] for above, below in itertools.pairwise(boxes))
    assert all(box["left"] >= 0 and box["right"] <= 400 for box in boxes)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 400
