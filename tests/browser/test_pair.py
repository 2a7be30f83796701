"""Two runs in a real browser: pin, change one word, look at both, swap, and send the link on."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import button, settle, write_prompt

OTHER = "Lily and Ben went to the lighthouse. Lily and"


def pin(page: Page) -> None:
    page.locator(".st-key-pinning-pin button").first.click()
    expect(page.locator(".st-key-pinning")).to_be_visible()
    settle(page)


@pytest.mark.slow
def test_pin_change_a_word_swap_and_send_the_link(open_browser, app_url):
    page = open_browser(f"{app_url}/layer-by-layer")
    settle(page)
    pin(page)
    write_prompt(page, OTHER)
    differing = page.locator(".inlook-pair li.differs")
    expect(differing).to_have_count(1)
    expect(differing).to_have_text("·Tim·Ben")
    for key in ("layers_lens-a", "layers_lens", "layers_difference", "layers_kl"):
        expect(page.locator(f".st-key-{key} .js-plotly-plot").first).to_be_visible()
    link = page.url
    page.locator(".st-key-pinning-swap button").first.click()
    expect(differing).to_have_text("·Ben·Tim")
    settle(page)
    again = open_browser(link)
    expect(again.locator(".inlook-pair li.differs")).to_have_text("·Tim·Ben")
    page.locator(".st-key-pinning-unpin button").first.click()
    expect(page.locator(".inlook-pair")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("pinned"))


@pytest.mark.slow
def test_a_click_in_b_moves_both_and_the_step_of_the_bar_is_bs(open_browser, app_url):
    page = open_browser(f"{app_url}/what-each-head-reads")
    settle(page)
    pin(page)
    bars = page.locator(".st-key-attention_heads_apart .js-plotly-plot")
    expect(bars).to_be_visible()
    button(page, "step").click()
    expect(page.locator(".inlook-pair li.differs")).to_have_count(1)
    expect(page.locator(".st-key-attention_difference .js-plotly-plot")).to_be_visible()
    settle(page)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize(
    "address",
    ["", "why-this-token", "what-each-head-reads", "what-neurons-do", "vector-to-probabilities"],
)
def test_a_pair_fits_the_screen(open_browser, app_url, address, width):
    told = "pinned=model%3Dtwin-rmsnorm&model=twin-original-2017"
    page = open_browser(f"{app_url}/{address}?{told}", width=width, height=800)
    settle(page)
    expect(page.locator(".inlook-pair")).to_be_visible()
    expect(page.get_by_text("A, pinned").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
