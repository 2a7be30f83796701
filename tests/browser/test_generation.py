"""Stepping, running, stopping and branching on the bundled model, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.driving import (
    button,
    open_options,
    press_streamlits_stop,
    settle,
    tokens_in_bar,
    write_prompt,
)

GENERATION = "/why-this-token"
PROMPT = "Once upon a time"
LIGHTHOUSE = "Lily%20and%20Tim%20went%20to%20the%20lighthouse.%20Lily%20and"


@pytest.fixture
def writing(open_browser, app_url):
    """The Generation page at its prompt."""
    page = open_browser(f"{app_url}{GENERATION}?prompt={PROMPT.replace(' ', '%20')}")
    expect(chips(page).last).to_have_text("next ?")
    return page


def chips(page):
    return page.locator(".st-key-generation-tokens .token")


def begin_long_run(page, app_url):
    """Have 400 tokens written that take seconds; return how many chips there were before."""
    story = "Sam%20saw%20a%20cat.%20Lily%20had%20a%20ball.%20" * 7
    page.goto(f"{app_url}{GENERATION}?use_cache=False&n_per_run=400&prompt={story}")
    settle(page)
    start = chips(page).count()
    button(page, "run").click()
    page.get_by_text(re.compile(r"\d+ of 400 tokens")).wait_for()
    return start


def step(page):
    """Press Step and wait for the new token."""
    n_chips = chips(page).count()
    button(page, "step").click()
    expect(chips(page)).to_have_count(n_chips + 1)
    settle(page)


def bars(page):
    """What the candidate chart draws."""
    chart = page.locator("[class*='st-key-generation-candidates'] .js-plotly-plot")
    expect(chart.locator(".barlayer .point").first).to_be_attached()
    return page.wait_for_function(
        """() => {
            const plot = "[class*='st-key-generation-candidates'] .js-plotly-plot";
            const data = document.querySelector(plot)?.data;
            return data && {ids: data.at(-1).customdata, own: data[0].x};
        }"""
    ).json_value()


def test_keys_step_forward_and_back(writing):
    start = chips(writing).count()
    writing.locator("h1").click()
    writing.keyboard.press("n")
    expect(chips(writing)).to_have_count(start + 1)
    writing.keyboard.press("n")
    expect(chips(writing)).to_have_count(start + 2)
    writing.keyboard.press("b")
    expect(chips(writing)).to_have_count(start + 1)


def test_ten_fast_presses_are_ten_tokens(writing):
    start = tokens_in_bar(writing).count()
    for _ in range(10):
        writing.keyboard.press("n")
    expect(tokens_in_bar(writing)).to_have_count(start + 10)
    expect(writing).to_have_url(re.compile(r"written=(\d+\.){9}\d+(&|$)"))


@pytest.mark.slow
def test_ten_fast_clicks_are_ten_tokens_also_where_letters_are_no_commands(open_browser, app_url):
    page = open_browser(f"{app_url}{GENERATION}?keys=False&prompt={PROMPT.replace(' ', '%20')}")
    expect(chips(page).last).to_have_text("next ?")
    start = tokens_in_bar(page).count()
    page.keyboard.press("n")
    button(page, "step").evaluate("step => { for (let i = 0; i < 10; i++) step.click(); }")
    expect(page).to_have_url(re.compile(r"written=(\d+\.){9}\d+(&|$)"))
    expect(tokens_in_bar(page)).to_have_count(start + 10)
    page.keyboard.press("n")
    button(page, "back").click()
    expect(tokens_in_bar(page)).to_have_count(start + 9)


def test_letters_typed_into_the_prompt_take_no_step(writing):
    start = chips(writing).count()
    writing.keyboard.press("e")
    box = writing.get_by_role("textbox", name="Prompt")
    box.press_sequentially(" nbn")
    box.press("Escape")
    settle(writing)
    expect(box).to_have_count(0)
    expect(chips(writing)).to_have_count(start)


@pytest.mark.slow
def test_step_right_after_another_prompt_and_option_uses_both(writing):
    open_options(writing)
    sample = writing.get_by_role("radio", name="Sample", exact=True)
    sample.click()
    writing.keyboard.press("Escape")
    write_prompt(writing, "Sue saw a big red")
    button(writing, "step").click()
    expect(writing).to_have_url(re.compile("strategy=sample"))
    expect(writing).to_have_url(re.compile(r"prompt=Sue"))
    expect(writing.get_by_text("7 of 512 tokens")).to_be_visible()
    expect(chips(writing)).to_have_count(8)
    expect(writing.get_by_text("Drawn at random")).to_be_visible()


def test_stopped_run_keeps_what_it_wrote_and_a_reload_restores_it(writing, app_url):
    start = begin_long_run(writing, app_url)
    button(writing, "run").click()
    settle(writing)
    expect(button(writing, "run")).to_contain_text("Run")
    written = chips(writing).count() - start
    assert 0 < written < 400
    expect(writing).to_have_url(re.compile("written="))
    writing.reload()
    settle(writing)
    expect(chips(writing)).to_have_count(start + written)


def test_a_click_in_the_page_is_answered_while_a_run_goes_on(writing, app_url):
    start = begin_long_run(writing, app_url)
    writing.get_by_role("radio", name="Cost of each step").click()
    expect(writing.get_by_role("figure", name=re.compile("Positions computed"))).to_be_visible()
    expect(button(writing, "run")).to_contain_text("Stop")
    button(writing, "back").click()
    expect(button(writing, "run")).to_contain_text("Run")
    settle(writing)
    assert start < chips(writing).count() < start + 400


@pytest.mark.slow
def test_a_run_is_stopped_by_a_key_and_the_next_one_goes_on(writing, app_url):
    begin_long_run(writing, app_url)
    writing.keyboard.press("g")
    expect(button(writing, "run")).to_contain_text("Run")
    settle(writing)
    n_chips = chips(writing).count()
    step(writing)
    expect(chips(writing)).to_have_count(n_chips + 1)


@pytest.mark.slow
def test_streamlits_own_stop_leaves_a_whole_page_whose_buttons_work(writing, app_url):
    begin_long_run(writing, app_url)
    press_streamlits_stop(writing)
    settle(writing)
    for name in ("step", "back", "restart", "run"):
        expect(button(writing, name)).to_be_enabled()
    expect(writing.get_by_text(re.compile("^Drawn|^Picked|^Nothing is picked yet"))).to_be_visible()
    expect(writing.get_by_role("heading", name="Try next")).to_be_visible()
    button(writing, "step").click()
    expect(button(writing, "run")).to_contain_text("Run")
    settle(writing)
    expect(writing).to_have_url(re.compile("written="))


def test_click_on_a_candidate_takes_it_and_leaves_a_branch(writing):
    step(writing)
    n_chips, before = chips(writing).count(), bars(writing)
    assert sum(before["own"]) == pytest.approx(1)
    chart = writing.locator("[class*='st-key-generation-candidates'] .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    box = chart.locator(".barlayer .trace").last.locator(".point").nth(2).bounding_box()
    # Far right of the short bar: the whole row is the target.
    writing.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    settle(writing)
    expect(chips(writing).nth(n_chips - 2)).to_contain_text("yours")
    expect(writing).to_have_url(re.compile(rf"written={before['ids'][2]}\b"))
    branches = writing.get_by_role("radiogroup", name="Every text you wrote from this prompt")
    branches.locator("label").first.click()
    settle(writing)
    expect(writing).to_have_url(re.compile(rf"written={before['ids'][0]}\b"))


@pytest.mark.slow
def test_click_on_an_earlier_token_shows_the_distribution_it_came_from(writing):
    step(writing)
    newest = bars(writing)
    chips(writing).nth(2).click()
    settle(writing)
    expect(writing.get_by_role("heading", name=re.compile("^Token 2:"))).to_be_visible()
    expect(writing.get_by_text("From your prompt.")).to_be_visible()
    assert bars(writing)["own"] != newest["own"]


@pytest.mark.slow
def test_replay_is_scrubbed_to_any_step(writing):
    for _ in range(3):
        step(writing)
    writing.get_by_role("radio", name="Replay").click()
    replay = writing.locator(".st-key-generation-replay .js-plotly-plot")
    expect(replay.locator(".slider-container")).to_be_visible()
    first = replay.locator(".ytick text").all_text_contents()
    replay.locator(".slider-rail-touch-rect").scroll_into_view_if_needed()
    rail = replay.locator(".slider-rail-touch-rect").bounding_box()
    writing.mouse.click(rail["x"] + rail["width"] - 4, rail["y"] + rail["height"] / 2)
    expect(replay.get_by_text("Step 3")).to_be_visible()
    expect(replay.locator(".ytick text")).not_to_have_text(first)


def test_why_this_token_is_answered_on_a_click_and_leads_to_its_head(open_browser, app_url):
    page = open_browser(f"{app_url}{GENERATION}?prompt={LIGHTHOUSE}&layer=1&head=1")
    expect(page.locator(".read-from")).to_contain_text("It read the answer most from ·Tim")
    page.get_by_role("button", name="Why this token?").click()
    expect(page.locator(".without-words")).to_contain_text("3.77%")
    page.get_by_role("link", name="Layer 4, head 4").click()
    expect(page.get_by_role("heading", level=1, name="Attention", exact=True)).to_be_visible()
    settle(page)
    assert "layer=1" not in page.url  # layer 4 and head 4 are what every link means without a word
    page.go_back()
    expect(page.locator(".without-words")).to_contain_text("3.77%")
    assert "layer=1" in page.url
