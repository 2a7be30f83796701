"""The Block architecture page in a real browser: marks can be clicked, and it fits a phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import settle

MARK = """number => {
  const chart = document.querySelector('.st-key-block_architecture-now .js-plotly-plot');
  const marks = chart.data.find(trace => trace.name === 'marks');
  const i = Array.from(marks.customdata).indexOf(number);
  const {xaxis, yaxis} = chart._fullLayout, box = chart.getBoundingClientRect();
  return [box.x + xaxis._offset + xaxis.l2p(marks.x[i]),
          box.y + yaxis._offset + yaxis.l2p(marks.y[i])];
}"""


def open_block(open_browser, app_url, **size) -> Page:
    page = open_browser(f"{app_url}/block-then-and-now", **size)
    expect(page.locator(".st-key-block_architecture-now .annotation-text").first).to_be_visible()
    return page


@pytest.mark.slow
def test_click_on_a_mark_explains_that_difference(open_browser, app_url):
    page = open_block(open_browser, app_url)
    page.locator(".st-key-block_architecture-now").scroll_into_view_if_needed()
    x, y = page.evaluate(MARK, 3)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    settle(page)
    expect(page.get_by_role("radio", name="3 · Heads")).to_be_checked()
    expect(page.get_by_text("query heads share 4 sets")).to_be_visible()
    page.get_by_role("radio", name="6 · Gate").click()
    settle(page)
    expect(page.get_by_text("third matrix")).to_be_visible()


@pytest.mark.slow
def test_tabs_draw_their_figures_and_nothing_is_wider_than_a_phone(open_browser, app_url):
    page = open_block(open_browser, app_url, width=400)
    for tab, figure in (
        ("Norm before or after", "Size of the residual stream"),
        ("LayerNorm, RMSNorm", "The first numbers of the vector"),
        ("ReLU, GELU, SwiGLU", "ReLU, GELU and SiLU"),
    ):
        page.get_by_role("tab", name=tab).click()
        settle(page)
        expect(page.get_by_role("figure", name=figure).locator(".main-svg").first).to_be_visible()
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 400


@pytest.mark.slow
def test_a_link_shows_the_same_in_another_browser(open_browser, app_url):
    page = open_block(open_browser, app_url)
    page.get_by_role("radio", name="6 · Gate").click()
    expect(page.get_by_text("third matrix")).to_be_visible()
    page.get_by_role("tab", name="The twins").click()
    page.get_by_role("radio", name="Two side by side").click()
    settle(page)  # a list that is open when the page changes shuts
    twin = page.get_by_role("combobox", name="Twin", exact=True)
    twin.click()
    page.get_by_role("option", name="twin-mqa", exact=True).click()
    expect(page.get_by_text("1 KV head shared by 4 query heads")).to_be_visible()
    settle(page)
    other = open_browser(page.url)
    expect(other.get_by_role("radio", name="6 · Gate")).to_be_checked()
    expect(other.get_by_text("1 KV head shared by 4 query heads")).to_be_visible()
    expect(other.get_by_role("figure", name="Training loss of twin-swiglu and")).to_be_visible()
