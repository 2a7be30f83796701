"""Each page prints whole on A4: no chart is cut, and nothing is there that only can be pressed."""

import re

import pytest
from playwright.sync_api import expect

from app import PAGES
from tests.browser.driving import go_to

PLACES = [place for group in PAGES.values() for place in group]
SHEET_PX = 718
"""A4 between margins of a centimetre, at 96 pixels per inch."""
ABSENT = (
    "[data-testid=stSidebar]",
    "[data-testid=stHeader]",
    "[data-testid=stButton]",
    "[data-testid=stFormSubmitButton]",
    "[data-testid=stDownloadButton]",
    ".st-key-text_bar_buttons",
    ".modebar",
    ".inlook-numbers:not([open])",
)
CUT = """(wide) => [...document.querySelectorAll('.inlook-chart, .inlook-chart svg.main-svg')]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > wide + 1)
  .map((one) => one.closest('.inlook-chart').getAttribute('aria-label'))"""


@pytest.mark.slow
def test_each_page_prints_whole_and_without_controls(open_browser, app_url):
    page = open_browser(app_url)
    for place in PLACES:
        page.emulate_media(media="null")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        go_to(page, place.title)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        expect(page.locator(".inlook-chart.waiting").filter(visible=True)).to_have_count(0)
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": SHEET_PX, "height": 1000})
        page.wait_for_timeout(300)
        assert page.evaluate(CUT, SHEET_PX) == [], place.title
        shown = [one for one in ABSENT if page.locator(one).filter(visible=True).count()]
        assert shown == [], place.title
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    assert len(re.findall(rb"/Type /Page\b", page.pdf(format="A4"))) > 1  # not one screen alone
