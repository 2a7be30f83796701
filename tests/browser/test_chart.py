"""Charts are updated in place, report clicks, and are saved from their toolbar."""

import csv
import re
from io import BytesIO
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.driving import go_to, settle


def open_matrix(open_browser, app_url, **options):
    """Open the Attention page; return it and its matrix."""
    page = open_browser(app_url + "/what-each-head-reads", **options)
    chart = page.get_by_role("figure", name="attention weight, Layer 4, head 4")
    expect(chart.locator(".heatmaplayer image")).to_be_visible()
    return page, chart


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


@pytest.mark.slow
def test_toolbar_is_complete_after_the_chart_changed_and_by_keyboard(page, tmp_path):
    go_to(page, "Generation")
    page.get_by_role("button", name="Step").click()
    settle(page)
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer")).to_be_visible()
    chart.get_by_role("button", name="Download plot as a PNG").focus()
    svg = chart.get_by_role("button", name="Download plot as an SVG")
    page.keyboard.press("ArrowRight")
    expect(svg).to_be_focused()
    expect(chart.locator(".modebar-btn[tabindex='0']")).to_have_count(1)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".svg")
    expect(svg).to_have_count(1)


@pytest.mark.slow
def test_svg_can_be_saved_on_a_phone_with_the_sidebar_closed(open_browser, app_url, tmp_path):
    page = open_browser(app_url + "/why-this-token", width=400)
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer")).to_be_visible()
    chart.hover()
    assert saved(page, chart, "Download plot as an SVG", tmp_path).suffix == ".svg"


def test_click_updates_the_chart_in_place_and_keeps_its_zoom(open_browser, app_url):
    page, chart = open_matrix(open_browser, app_url)
    box = chart.locator(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    zoom = "(chart) => [chart._fullLayout.xaxis.range, chart._fullLayout.yaxis.range]"
    zoomed = chart.evaluate(zoom)
    assert zoomed[0][1] - zoomed[0][0] < 6
    chart.evaluate("(chart) => { chart.seenBefore = true; }")
    page.get_by_role("button", name="Layer 2, head 3").click()
    changed = page.get_by_role("figure", name="attention weight, Layer 2, head 3")
    expect(changed).to_be_visible()
    settle(page)
    assert changed.evaluate("(chart) => chart.seenBefore")
    assert changed.evaluate(zoom) == zoomed


@pytest.mark.slow
def test_click_on_a_cell_of_a_heatmap_reaches_the_page(open_browser, app_url):
    page, chart = open_matrix(open_browser, app_url)
    box = chart.locator(".nsewdrag").bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page).to_have_url(re.compile(r"pos=6"))


@pytest.mark.slow
def test_chart_takes_its_colours_from_the_theme(open_browser, app_url):
    drawn = {}
    for scheme in ("light", "dark"):
        _, chart = open_matrix(open_browser, app_url, scheme=scheme)
        drawn[scheme] = chart.evaluate(
            "(chart) => [chart._fullLayout.paper_bgcolor, ...chart.data[0].colorscale.flat()]"
        )
        assert not any(str(colour).startswith("#0000") for colour in drawn[scheme])
    assert drawn["light"][0] == "#ffffff"
    assert drawn["light"] != drawn["dark"]


def test_plotly_comes_from_the_app_itself_and_compressed(page, app_url):
    with page.expect_response(re.compile("/vendor/plotly")) as response:
        go_to(page, "Attention")
    assert response.value.url.startswith(app_url)
    assert response.value.headers["content-encoding"] == "gzip"
    assert "max-age" in response.value.headers["cache-control"]


@pytest.mark.slow
def test_legend_stays_whole_on_a_phone_when_a_step_adds_to_it(open_browser, app_url):
    page = open_browser(app_url + "/why-this-token", width=400)
    page.get_by_role("button", name="Step").locator("visible=true").first.click()
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".legendtext", has_text="picked")).to_be_attached()
    settle(page)
    assert chart.locator(".legend").bounding_box()["y"] >= chart.bounding_box()["y"]


@pytest.mark.slow
def test_numbers_of_a_chart_are_reached_by_keyboard_and_follow_it(open_browser, app_url, tmp_path):
    page, chart = open_matrix(open_browser, app_url)
    fold = page.locator(".inlook-numbers").filter(visible=True).first
    chart.locator(".modebar-btn[tabindex='0']").focus()
    page.keyboard.press("Tab")
    expect(fold.locator("summary")).to_be_focused()
    assert fold.locator("table").count() == 0  # nothing is made before somebody asks
    page.keyboard.press("Enter")
    first = fold.locator("tbody tr").first
    expect(first.locator("td").last).to_have_text("1")  # the first token reads itself alone
    expect(fold.locator("thead th")).to_have_text(
        ["query: who reads", "key: what is read", "attention weight"]
    )
    with page.expect_download() as download:
        fold.get_by_role("button", name="Save as CSV").click()
    download.value.save_as(tmp_path / "numbers.csv")
    with (tmp_path / "numbers.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    drawn = chart.evaluate("(chart) => chart.calcdata[0][0].z.flatMap((row) => [...row])")
    drawn = [weight for weight in drawn if weight is not None]
    assert [float(weight) for *_, weight in rows] == drawn
    before = fold.locator("tbody").inner_text()
    page.locator("[role=gridcell], .tile").first.click()
    settle(page)
    expect(fold.locator("tbody")).not_to_have_text(before)


def contrast(one, other):
    """The ratio of two colours from 0 to 255, by WCAG 2.2 ("contrast ratio")."""

    def luminance(colour):
        parts = [part / 255 for part in colour]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_in_cells_can_be_read_on_their_colours(open_browser, app_url, scheme):
    page = open_browser(app_url + "/layer-by-layer", scheme=scheme)
    chart = page.get_by_role("figure", name=re.compile("^The most probable next token"))
    texts = chart.locator(".scatterlayer .textpoint text")
    expect(texts).to_have_count(84)  # seven rows, twelve tokens
    settle(page)
    chart.scroll_into_view_if_needed()
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    for text in texts.all():
        box = text.bounding_box()
        beside = picture.getpixel((int(box["x"] - 2), int(box["y"] + box["height"] / 2)))
        own = re.findall(r"\d+", text.evaluate("(text) => getComputedStyle(text).fill"))
        assert contrast(list(map(int, own[:3])), beside) >= 4.5, text.inner_html()


@pytest.mark.slow
def test_letters_grow_with_a_chart_in_full_screen(open_browser, app_url):
    page, chart = open_matrix(open_browser, app_url)
    size = "(chart) => parseFloat(getComputedStyle(chart.querySelector('.xtick text')).fontSize)"
    before = chart.evaluate(size)
    chart.hover()
    chart.get_by_role("button", name="Fullscreen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    page.wait_for_timeout(1000)
    assert chart.evaluate(size) > 1.2 * before
    page.evaluate("document.exitFullscreen()")
    page.wait_for_timeout(1000)
    assert chart.evaluate(size) == before
