"""The two runs, their race and the cache on the bundled model, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.driving import press_streamlits_stop, settle

ADDRESS = "/keys-and-values-kept?prompt=Once%20upon%20a%20time"


@pytest.fixture
def page(open_browser, app_url):
    """The KV cache page with its opening steps."""
    page = open_browser(app_url + ADDRESS)
    expect(grid(page, "on").locator(".heatmaplayer image").first).to_be_visible()
    return page


def grid(page, name):
    return page.locator(f".st-key-kv_cache_grid_{name} .js-plotly-plot")


def button(page, name):
    return page.locator(f".st-key-kv_cache-{name} button:visible")


def number(page, field):
    """The box of a number that is bound to a field."""
    return page.locator(f'[class*="st-key-kv_cache-kv_cache-{field}-"] input')


def facts(page):
    return page.locator(".facts").first


def test_click_on_a_row_and_keys_move_to_a_step(page):
    expect(page.get_by_text("Step 6 writes")).to_be_visible()
    row = grid(page, "off").locator(".heatmaplayer image").first.bounding_box()
    page.mouse.click(row["x"] + 20, row["y"] + 1.5 / 6 * row["height"])
    expect(page.get_by_text("Step 2 writes")).to_be_visible()
    expect(facts(page).get_by_role("row", name="Positions computed 1 6")).to_be_visible()
    slider = page.get_by_role("slider", name="Step to look at")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Step 3 writes")).to_be_visible()
    button(page, "next").click()
    expect(page.get_by_text("Step 7 writes")).to_be_visible()
    settle(page)


def test_race_can_be_stopped_and_shows_what_it_measured(page):
    number(page, "n_tokens").fill("400")
    page.keyboard.press("Enter")
    settle(page)
    button(page, "run").click()
    page.get_by_text(re.compile(r"Round 1 of 3, token \d\d+ of 400")).wait_for()
    button(page, "stop").click()
    settle(page)
    expect(page.get_by_text(re.compile("Stopped in round"))).to_be_visible()
    expect(page.locator(".ratio b")).to_have_text(re.compile(r"^\d+(\.\d+)?×$"))  # noqa: RUF001
    curves = page.locator(".st-key-kv_cache-curves .js-plotly-plot")
    expect(curves.locator(".scatterlayer .trace").first).to_be_attached()


@pytest.mark.slow
def test_another_visitor_steps_while_a_race_runs(page, open_browser, app_url):
    number(page, "n_tokens").fill("450")
    page.keyboard.press("Enter")
    settle(page)
    button(page, "run").click()
    page.get_by_text(re.compile(r"Round 1 of 3, token \d+ of 450")).wait_for()
    other = open_browser(app_url + "/why-this-token?prompt=Once")
    chips = other.locator(".st-key-generation-tokens .token")
    expect(chips.last).to_have_text("next ?")
    before = chips.count()
    other.locator("h1").click()
    other.keyboard.press("n")
    expect(chips).to_have_count(before + 1)
    expect(page.get_by_text(re.compile(r"of 450: "))).to_be_visible()
    button(page, "stop").click()
    settle(page)


@pytest.mark.slow
def test_tabs_draw_the_contents_and_the_sizes(page):
    page.get_by_role("tab", name="What is in the cache").click()
    contents = page.locator(".st-key-kv_cache-contents .js-plotly-plot")
    expect(contents.locator(".heatmaplayer image")).to_have_count(2)
    page.get_by_role("tab", name="How large it gets").click()
    bars = page.locator(".st-key-kv_cache-size_bars .js-plotly-plot")
    expect(bars.locator(".barlayer .point").first).to_be_attached()
    expect(page.get_by_text("Arithmetic, not a measurement")).to_be_visible()


RUNNING = re.compile(r"Round 1 of 3, token \d\d+ of 400")
LONG_RACE = "&kv_cache.n_tokens=400"


@pytest.fixture
def racing(open_browser, app_url):
    """The page in the middle of a race."""
    page = open_browser(app_url + ADDRESS + LONG_RACE)
    button(page, "run").click()
    page.get_by_text(RUNNING).wait_for()
    return page


def every_button_works(page):
    """Stop, step, restart and run again."""
    expect(button(page, "next")).to_be_enabled()
    button(page, "next").click()
    expect(page.get_by_text("Step 7 writes")).to_be_visible()
    button(page, "restart").click()
    expect(page.get_by_text("Step 1 writes")).to_be_visible()
    settle(page)
    expect(button(page, "stop")).to_be_disabled()
    button(page, "run").click()
    page.get_by_text(RUNNING).wait_for()
    button(page, "stop").click()
    settle(page)
    expect(page.get_by_text(re.compile("Stopped in round"))).to_be_visible()


@pytest.mark.slow
def test_a_reload_in_the_middle_of_a_race_leaves_every_button_working(racing):
    racing.reload()
    settle(racing)
    expect(racing.get_by_text(RUNNING)).to_have_count(0)
    expect(number(racing, "n_tokens")).to_have_value("400")
    every_button_works(racing)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["stop", "run", "next"])
def test_streamlits_own_stop_in_the_middle_of_a_race_leaves_every_button_working(racing, first):
    press_streamlits_stop(racing)
    if first == "run":
        told = racing.get_by_text(RUNNING)
        of_the_first = told.inner_text()
        button(racing, "run").click()
        expect(told).not_to_have_text(of_the_first)
        button(racing, "stop").click()
    elif first == "stop":
        button(racing, "stop").click()
    if first != "next":
        settle(racing)
        expect(racing.get_by_text(re.compile("Stopped in round"))).to_be_visible()
    every_button_works(racing)


@pytest.mark.slow
def test_run_takes_a_number_that_was_typed_and_not_confirmed(page):
    number(page, "n_rounds").fill("1")
    number(page, "n_tokens").fill("7")
    button(page, "run").click()
    expect(page.get_by_role("row", name="All 7 tokens")).to_be_visible()
    settle(page)


@pytest.mark.slow
def test_a_link_shows_the_same_in_another_browser(page, open_browser):
    button(page, "next").click()
    expect(page.get_by_text("Step 7 writes")).to_be_visible()
    slider = page.get_by_role("slider", name="Step to look at")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Step 6 writes")).to_be_visible()
    page.get_by_role("tab", name="How large it gets").click()
    settle(page)
    number(page, "batch").fill("9")
    page.keyboard.press("Enter")
    expect(page.get_by_text("9 texts of").first).to_be_visible()
    settle(page)
    other = open_browser(page.url)
    expect(other.get_by_text("Step 6 writes")).to_be_visible()
    slider = other.get_by_role("slider", name="Step to look at")
    expect(slider).to_have_attribute("max", "7")
    expect(slider).to_have_value("6")
    expect(other.get_by_text("9 texts of").first).to_be_visible()
