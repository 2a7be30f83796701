"""Every chart can be saved from its toolbar, as PNG and as SVG."""

import re
from xml.etree import ElementTree

from playwright.sync_api import expect

from tests.browser.driving import go_to, settle


def saved(page, chart, button, folder):
    with page.expect_download() as download:
        chart.get_by_role("button", name=button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_chart_is_saved_as_svg_and_as_png(page, tmp_path):
    go_to(page, "Generation")
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer")).to_be_visible()
    chart.hover()
    svg = saved(page, chart, "Download plot as an SVG", tmp_path)
    assert svg.suffix == ".svg"
    root = ElementTree.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "candidate token" in "".join(root.itertext())
    png = saved(page, chart, "Download plot as a PNG", tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.stem == svg.stem
    assert png.stem.startswith("inlook-generation")


def test_toolbar_is_complete_after_the_chart_changed_and_by_keyboard(page, tmp_path):
    go_to(page, "Generation")
    page.get_by_role("button", name="Step").click()
    settle(page)
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer")).to_be_visible()
    chart.get_by_role("button", name="Download plot as a PNG").focus()
    svg = chart.get_by_role("button", name="Download plot as an SVG")
    page.keyboard.press("Tab")
    expect(svg).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".svg")
    expect(svg).to_have_count(1)


def test_svg_can_be_saved_on_a_phone_with_the_sidebar_closed(open_browser, app_url, tmp_path):
    page = open_browser(app_url + "/why-this-token", width=400)
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer")).to_be_visible()
    chart.hover()
    assert saved(page, chart, "Download plot as an SVG", tmp_path).suffix == ".svg"
