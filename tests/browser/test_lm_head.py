"""The LM head page in a real browser: follow a token, write many texts, step a beam search."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from tests.browser.driving import ROOT, settle

PATH = "/vector-to-probabilities"


@pytest.fixture
def lm_head(open_browser, app_url):
    """Return a function that opens a section of the page."""

    def open_section(section: str, query: str = "strategy=sample", **options) -> Page:
        page = open_browser(f"{app_url}{PATH}?{query}", **options)
        page.get_by_role("tab", name=section, exact=True).click()
        settle(page)
        return page

    return open_section


def test_clicked_bar_is_followed_through_the_stages(lm_head):
    page = lm_head("Stages")
    chart = page.get_by_role("figure", name=re.compile("^Candidates"))
    expect(chart.locator(".barlayer .point").first).to_be_visible()
    second = chart.locator(".ytick text").nth(1).text_content()
    chart.evaluate("chart => chart.scrollIntoView({block: 'center'})")  # not under the bar
    settle(page)
    box = chart.locator(".barlayer .trace").last.locator(".point").nth(1).bounding_box()
    # Far right of the bar: the whole row is the target.
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    expect(page.get_by_text("rank 2 of 4,096")).to_be_visible()
    settle(page)
    assert second
    expect(page.locator(".stages tr.chosen")).to_contain_text(second)


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """A folder with a model that takes long to write many texts, on any machine."""
    folder = tmp_path_factory.mktemp("slow")
    AutoTokenizer.from_pretrained(ROOT / "models/storyteller").save_pretrained(folder)
    config = GPT2Config(vocab_size=4096, n_positions=128, n_embd=512, n_layer=8, n_head=8)
    GPT2LMHeadModel(config).half().save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_long_run_of_texts_can_be_stopped_and_keeps_what_it_has(open_browser, app_url, slow_model):
    link = f"strategy=sample&model={quote(str(slow_model))}"
    page = open_browser(f"{app_url}{PATH}?{link}&lm_head.n_texts=100&lm_head.n_tokens=60")
    page.get_by_role("tab", name="Many texts", exact=True).click()
    # Two batches: the greedy text, and the first ten.
    expect(page.get_by_text(re.compile(r"Writing: (1[2-9]\d|[2-9]\d\d) of"))).to_be_visible()
    page.locator(".st-key-lm_head-texts-stop button").click()
    expect(page.get_by_text(re.compile(r"Stopped after [1-9]0 of 100 texts"))).to_be_visible()
    settle(page)
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    expect(page.locator(".st-key-lm_head_tree .iciclelayer").first).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text(re.compile(r"Stopped after [1-9]0 of 100 texts"))).to_be_visible()


@pytest.mark.slow
def test_beam_search_is_stepped_by_keyboard(lm_head):
    page = lm_head("Beam search", width=400, scheme="dark")
    figure = page.get_by_role("figure", name=re.compile("^Beam search with 4 beams after 10 of 10"))
    expect(figure.locator(".scatterlayer").first).to_be_visible()
    slider = page.get_by_role("slider", name="Steps done")
    slider.focus()
    slider.press("ArrowLeft")
    figure = page.get_by_role("figure", name=re.compile("^Beam search with 4 beams after 9 of 10"))
    expect(figure.locator(".scatterlayer").first).to_be_visible()
    expect(page.get_by_text("Checked: the winner's sum is")).to_be_visible()


@pytest.mark.slow
def test_what_is_chosen_comes_back_by_reload_and_by_back(lm_head):
    page = lm_head("Draws")
    page.get_by_role("button", name="Draw again").click()
    expect(page.get_by_text("seed 1.")).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_role("tab", name="Draws", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    expect(page.get_by_text("seed 1.")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("seed 0.")).to_be_visible()
