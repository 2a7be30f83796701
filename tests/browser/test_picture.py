"""What is no Plotly chart is saved as a picture, too: whole, and with what it shows."""

from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

LATER_MS = 1000
"""By then a page's width is what it stays."""
PIXEL_SIZE = slice(16, 24)
"""Where a PNG file says how wide and high it is."""
PLACES = {
    "flow": ("/", ".flow", "The forward pass of 13 tokens"),
    "grid": ("/what-each-head-reads", ".st-key-attention_grid", "Attention of every layer"),
    "lines": ("/what-each-head-reads", ".st-key-attention_lines", "reads from each query"),
    "strip": ("/what-each-head-reads", ".st-key-attention_tokens", "reads from one query"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_a_component_is_saved_whole_as_svg_and_png(open_browser, app_url, tmp_path, name):
    address, place, says = PLACES[name]
    page = open_browser(app_url + address)
    box = page.locator(".pictured", has=page.locator(place))
    if place.startswith(".st-key"):
        box = page.locator(f"{place} .pictured")
    page.wait_for_function("() => window.inlookAbout")
    page.wait_for_timeout(LATER_MS)
    box.hover()
    files = {}
    for form in ("SVG", "PNG"):
        with page.expect_download() as download:
            box.get_by_role("button", name=form).click()
        files[form] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[form])
    root = ElementTree.parse(files["SVG"]).getroot()
    words = "".join(root.itertext())
    assert says in words
    assert "storyteller: Lily and Tim went to the" in words.replace("\n", " ")
    assert "http" not in "".join(one.text for one in root.iter() if one.tag.endswith("style"))
    size = files["PNG"].read_bytes()[PIXEL_SIZE]
    width, height = int.from_bytes(size[:4]), int.from_bytes(size[4:])
    assert (width, height) == (2 * int(root.get("width")), 2 * int(root.get("height")))


@pytest.mark.slow
def test_its_buttons_are_one_tab_stop(open_browser, app_url):
    page = open_browser(app_url + "/what-each-head-reads")
    grid = page.locator(".st-key-attention_grid")
    grid.get_by_role("button", name="as a PNG").focus()
    page.keyboard.press("ArrowRight")
    expect(grid.get_by_role("button", name="as an SVG")).to_be_focused()
    page.keyboard.press("Home")
    expect(grid.get_by_role("button", name="as a PNG")).to_be_focused()
    expect(grid.locator(".modebar-btn[tabindex='0']")).to_have_count(1)
