"""The Layers page in a real browser: cells can be clicked, words typed, numbers match."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

CELL = """([row, column]) => {
  const chart = document.querySelector('.st-key-layers_lens .js-plotly-plot');
  const {xaxis, yaxis} = chart._fullLayout, box = chart.getBoundingClientRect();
  return [box.x + xaxis._offset + xaxis.l2p(column), box.y + yaxis._offset + yaxis.l2p(row)];
}"""


def open_layers(open_browser, app_url, **size) -> Page:
    page = open_browser(f"{app_url}/layer-by-layer", **size)
    expect(page.locator(".st-key-layers_lens .heatmaplayer image").first).to_be_visible()
    return page


def test_click_on_a_cell_selects_its_token_and_layer(open_browser, app_url):
    page = open_layers(open_browser, app_url)
    page.locator(".st-key-layers_lens").scroll_into_view_if_needed()
    x, y = page.evaluate(CELL, [3, 2])
    page.mouse.move(x - 4, y)
    page.mouse.move(x, y)
    hover = page.locator(".st-key-layers_lens .hoverlayer")
    expect(hover).to_contain_text("would predict")
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile("pos=3"))
    expect(page).to_have_url(re.compile("layer=2"))
    settle(page)
    expect(page.get_by_text("After “·Tim” the model ends on")).to_be_visible()


@pytest.mark.slow
def test_typed_word_gets_a_line(open_browser, app_url):
    page = open_layers(open_browser, app_url)
    legend = page.locator(".st-key-layers_words .legendtext")
    expect(legend).to_have_count(3)
    box = page.get_by_label("Add a word")
    box.fill("water")
    box.press("Enter")
    expect(legend).to_have_count(4)
    expect(legend.last).to_have_text("·water")


@pytest.mark.slow
def test_narrow_screen_scrolls_the_table_and_nothing_else(open_browser, app_url):
    page = open_layers(open_browser, app_url, width=400)
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 400
    table = page.locator(".st-key-layers_lens_scroll")
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")


@pytest.mark.slow
def test_tab_and_logits_survive_a_reload(open_browser, app_url):
    page = open_layers(open_browser, app_url)
    page.get_by_role("tab", name="What adds up to the score").click()
    settle(page)
    page.get_by_role("combobox", name="Compared with").click()
    rival = page.get_by_role("option").nth(1)
    name = rival.inner_text()
    rival.click()
    settle(page)
    page.get_by_text("Rank", exact=True).first.click()
    expect(page).to_have_url(re.compile("layers.show=rank"))
    expect(page).to_have_url(re.compile(r"layers.against=\d+"))
    page.reload()
    settle(page)
    expect(page.get_by_role("combobox", name="Compared with")).to_have_value(name)
    expect(page.get_by_role("radio", name="Rank").first).to_be_checked()
    expect(page.locator(".st-key-layers_parts .barlayer")).to_be_visible()
