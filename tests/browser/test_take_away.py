"""What was taken away opens from disk, without a network and without Inlook."""

import html
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from model_hooks import load_model, load_trace
from tests.browser.driving import go_to, settle

pytestmark = pytest.mark.slow
PROMPT = "Once upon a time there was a little dog."


@pytest.fixture(scope="module")
def taken(chromium, app_url, tmp_path_factory):
    """The two files of the Attention page, by what ends their names."""
    page = chromium.new_context().new_page()
    page.goto(f"{app_url}/what-each-head-reads?prompt={PROMPT}&layer=2&head=3")
    settle(page)
    page.get_by_role("button", name="Take it away").click()
    dialog = page.get_by_role("dialog")
    found = {}
    for label in ("Figures as a web page", "Run as a file"):
        with page.expect_download() as download:
            dialog.get_by_role("button", name=label).click()
        path = tmp_path_factory.mktemp("taken") / download.value.suggested_filename
        download.value.save_as(path)
        found[path.suffix] = path
    page.context.close()
    return found


@pytest.fixture
def open_file(chromium):
    """Return a function that opens a file with the network off; whatever it asks for fails."""
    contexts, problems = [], []

    def open_file(path: Path, width=1280, scheme="light"):
        context = chromium.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith(("file:", "data:", "blob:")) or problems.append(asked.url)
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert not problems


def drawn_weights(chart):
    """The numbers of a heatmap, masked ones as 0."""
    rows = chart.evaluate("(chart) => chart.calcdata[0][0].z.map((row) => [...row])")
    return np.array([[0 if cell is None else cell for cell in row] for row in rows], float)


def test_the_file_draws_the_same_numbers_without_a_network(taken, open_file):
    page = open_file(taken[".html"])
    chart = page.get_by_role("figure", name="attention weight, Layer 2, head 3")
    expect(chart.locator(".heatmaplayer image")).to_be_visible()
    trace = load_model("storyteller").trace(PROMPT)
    np.testing.assert_allclose(drawn_weights(chart), trace.attention(2, 3), atol=1e-6)
    expect(page.get_by_text(PROMPT, exact=True)).to_be_visible()
    expect(page.locator(".tile")).to_have_count(6 * 8)
    expect(page.get_by_text("·little").first).to_be_visible()


def test_the_run_is_the_one_that_was_looked_at(taken):
    trace, found = load_model("storyteller").trace(PROMPT), load_trace(taken[".safetensors"])
    assert found.tokens == trace.tokens
    np.testing.assert_allclose(found.attention(2, 3), trace.attention(2, 3), atol=1e-6)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
def test_it_fits_its_window_and_theme(taken, open_file, width, scheme):
    page = open_file(taken[".html"], width, scheme)
    expect(page.locator(".heatmaplayer image").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 29)"}[scheme]
    paper = page.locator(".inlook-chart").first.evaluate("(box) => box._fullLayout.paper_bgcolor")
    assert paper.lower() == {"light": "#ffffff", "dark": "#11161d"}[scheme]


def test_on_paper_it_is_light_and_no_wider_than_a_sheet(taken, open_file):
    page = open_file(taken[".html"], 1280, "dark")
    chart = page.locator(".inlook-chart").first
    expect(chart.locator(".heatmaplayer image")).to_be_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(500)
    assert chart.evaluate("(box) => box._fullLayout.paper_bgcolor").lower() == "#ffffff"
    assert chart.evaluate("(box) => box._fullLayout.width") <= 680
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.wait_for_timeout(500)
    assert chart.evaluate("(box) => box._fullLayout.paper_bgcolor").lower() == "#11161d"
    for painted in (".tile", ".token"):  # a browser prints no backgrounds unless it is told
        adjust = "(one) => getComputedStyle(one).printColorAdjust"
        assert page.locator(painted).first.evaluate(adjust) == "exact"
    assert page.pdf().startswith(b"%PDF")


def test_it_works_inside_the_closed_frame_of_a_learning_platform(taken, open_file, tmp_path):
    content = html.escape(taken[".html"].read_text(encoding="utf-8"))
    outside = tmp_path / "course.html"
    outside.write_text(
        f'<iframe sandbox="allow-scripts" width="800" height="600" srcdoc="{content}"></iframe>',
        encoding="utf-8",
    )
    frame = open_file(outside).frame_locator("iframe")
    expect(frame.locator(".heatmaplayer image").first).to_be_visible()


@pytest.mark.parametrize("title", ["Forward pass", "KV cache", "Positions"])
def test_other_pages_give_their_figures_too(chromium, app_url, open_file, tmp_path, title):
    page = chromium.new_context().new_page()
    page.goto(app_url)
    settle(page)
    go_to(page, title)
    page.get_by_role("button", name="Take it away").click()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("button", name="Figures as a web").click()
    download.value.save_as(tmp_path / "figures.html")
    page.context.close()
    opened = open_file(tmp_path / "figures.html")
    places = opened.locator("section > .place")
    expect(places.last).to_be_visible()
    expect(opened.locator("section .waiting")).to_have_count(0)
    heights = [place.bounding_box()["height"] for place in places.all()]
    assert min(heights) > 10
