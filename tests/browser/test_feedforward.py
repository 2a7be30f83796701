"""The Feedforward page in a real browser: the film is found, neurons and layers can be clicked."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

PLACE = """([key, x, y]) => {
  const chart = document.querySelector(`.st-key-${key} .js-plotly-plot`);
  const {xaxis, yaxis} = chart._fullLayout, box = chart.getBoundingClientRect();
  return [box.x + xaxis._offset + xaxis.l2p(x), box.y + yaxis._offset + yaxis.l2p(y)];
}"""


def open_feedforward(open_browser, app_url, query="", **size) -> Page:
    page = open_browser(f"{app_url}/what-neurons-do{query}", **size)
    expect(page.locator(".st-key-feedforward_steps .scatterlayer .point").first).to_be_visible()
    return page


@pytest.mark.slow
def test_film_is_found_in_a_layer_and_lost_without_it(open_browser, app_url):
    page = open_feedforward(open_browser, app_url)
    page.get_by_role("button", name=re.compile("Try “The Shawshank”")).click()
    settle(page)
    expect(page.get_by_text(re.compile("does most for ·Redemption"))).to_be_visible()
    tab = page.get_by_role("tab", name="Switch it off")
    expect(tab).to_have_count(1)  # those of the prompt before are gone
    tab.click()
    expect(page.locator(".st-key-feedforward_each .barlayer .point")).to_have_count(6)
    expect(page.get_by_text(re.compile("·Redemption (falls|rises) from"))).to_be_visible()


def test_clicked_bar_chooses_its_neuron(open_browser, app_url):
    page = open_feedforward(open_browser, app_url, "?prompt=The+Shawshank")
    bars = page.locator(".st-key-feedforward_neurons .barlayer .point")
    expect(bars).to_have_count(12)
    label = page.locator(".st-key-feedforward_neurons .ytick text").nth(1).text_content()
    neuron = re.search(r"\d+", label).group()
    bars.nth(1).scroll_into_view_if_needed()
    bars.nth(1).click(force=True)
    expect(page.get_by_text(f"Where else does neuron {neuron} fire?")).to_be_visible()
    expect(page.get_by_role("spinbutton", name=re.compile("Neuron of layer"))).to_have_value(neuron)


@pytest.mark.slow
def test_clicked_step_chooses_its_layer(open_browser, app_url):
    page = open_feedforward(open_browser, app_url, "?prompt=The+Shawshank&layer=0")
    page.locator(".st-key-feedforward_steps").scroll_into_view_if_needed()
    y = page.evaluate(
        "() => document.querySelector('.st-key-feedforward_steps .js-plotly-plot').calcdata[3][4].y"
    )
    x, y = page.evaluate(PLACE, ["feedforward_steps", 4.18, y])
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    expect(page.locator(".st-key-feedforward_steps .hoverlayer")).to_contain_text("layer 4")
    page.mouse.click(x, y)
    expect(page).not_to_have_url(re.compile("layer=0"))
    expect(page.get_by_role("radio", name="4", exact=True)).to_be_checked()


@pytest.mark.slow
def test_narrow_screen_does_not_scroll_sideways(open_browser, app_url):
    page = open_feedforward(open_browser, app_url, width=400)
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 400


@pytest.mark.slow
def test_neuron_and_order_survive_a_reload(open_browser, app_url):
    page = open_feedforward(open_browser, app_url, "?prompt=The+Shawshank")
    page.get_by_text("Size of what it adds").click()
    settle(page)
    box = page.get_by_role("spinbutton", name=re.compile("Neuron of layer"))
    box.fill("7")
    box.press("Enter")
    expect(page.get_by_text("Where else does neuron 7 fire?")).to_be_visible()
    page.get_by_role("radio", name="Rank").click()
    expect(page).to_have_url(re.compile("feedforward.measure=rank"))
    page.reload()
    settle(page)
    expect(box).to_have_value("7")
    expect(page.get_by_text("Where else does neuron 7 fire?")).to_be_visible()
    expect(page.get_by_role("radio", name="Size of what it adds")).to_be_checked()
    expect(page.get_by_role("radio", name="Rank")).to_be_checked()
