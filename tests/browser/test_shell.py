"""What surrounds every page: navigation, sidebar, links, prompts of any kind."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from pages.state.view import DEFAULT_PROMPT
from tests.browser.driving import (
    expect_prompt,
    go_to,
    open_options,
    serve,
    settle,
    write_prompt,
)

GENERATION = "/why-this-token"
ATTENTION = "/what-each-head-reads"


def page_links(page):
    return page.locator(".st-key-page_links")


def layers(page):
    return page.get_by_role("radiogroup", name=re.compile("^Layer"))


@pytest.mark.slow
def test_fresh_server_answers_a_deep_link_with_the_whole_app(open_browser, tmp_path):
    with serve(tmp_path / "log.txt") as url:
        page = open_browser(f"{url}{ATTENTION}?prompt=The%20cat")
        expect(page.get_by_role("heading", level=1, name="Attention")).to_be_visible()
        expect_prompt(page, "The cat")
        expect(page.get_by_text("Page not found")).to_have_count(0)


@pytest.mark.slow
def test_click_before_the_first_page_is_drawn_keeps_the_prompt(chromium, app_url):
    for wait_ms in (0, 30, 80):
        page = chromium.new_page()
        page.goto(f"{app_url}?prompt=The%20cat")
        link = page_links(page).get_by_role("link", name="Generation")
        link.wait_for()
        page.wait_for_timeout(wait_ms)
        link.click()
        expect(page.get_by_role("heading", level=1, name="Generation")).to_be_visible()
        settle(page)
        expect_prompt(page, "The cat")
        page.close()


def test_prompt_model_and_layer_survive_a_change_of_page(page):
    write_prompt(page, "Tom saw a big")
    go_to(page, "Attention")
    layers(page).get_by_role("radio", name="2", exact=True).click()
    expect(page).to_have_url(re.compile("layer=2"))
    settle(page)
    go_to(page, "Generation")
    expect_prompt(page, "Tom saw a big")
    expect(page).to_have_url(re.compile(rf"{GENERATION}\?.*layer=2"))
    for name in ("Attention", "Layers"):
        go_to(page, name)
        expect(layers(page).get_by_role("radio", name="2", exact=True)).to_be_checked()


@pytest.mark.slow
def test_second_click_on_a_page_link_leaves_its_controls_as_they_are(chromium, app_url):
    for wait_ms in (0, 60, 120, 200):
        page = chromium.new_page()
        page.goto(f"{app_url}?layer=3&head=2&strategy=sample&seed=5")
        settle(page)
        link = page_links(page).get_by_role("link", name="Generation")
        link.click()
        page.wait_for_timeout(wait_ms)
        link.click()
        settle(page)
        open_options(page)
        expect(page.get_by_label("Seed", exact=True)).to_have_value("5")
        for group, choice in (("Layer", "3"), ("Head", "2"), ("How to pick", "Sample")):
            radios = page.get_by_role("radiogroup", name=re.compile(f"^{group}"))
            expect(radios.get_by_role("radio", name=choice, exact=True)).to_be_checked()
        page.close()


def test_copied_link_restores_the_view_in_another_browser(page, open_browser):
    go_to(page, "Attention")
    write_prompt(page, "Tom & Sue saw <b> 100% + שלום 👩‍👩‍👧")
    layers(page).get_by_role("radio", name="1", exact=True).click()
    settle(page)
    expect(page).to_have_url(re.compile("layer=1"))
    other = open_browser(page.url)
    expect_prompt(other, "Tom & Sue saw <b> 100% + שלום 👩‍👩‍👧")
    expect(layers(other).get_by_role("radio", name="1", exact=True)).to_be_checked()


@pytest.mark.slow
def test_another_prompt_after_a_token_was_chosen_has_its_last_token_chosen(page):
    go_to(page, "Attention")
    chooser = page.get_by_role("combobox", name="Query token")
    page.locator(".st-key-attention_tokens .token").nth(4).click()
    expect(page).to_have_url(re.compile("pos=4"))
    expect(chooser).to_have_value("4: ·went")
    settle(page)
    write_prompt(page, "Sue saw a big red ball and ran")
    settle(page)
    expect(chooser).to_have_value("8: ·ran")


def test_back_button_returns_to_the_view_before(page):
    write_prompt(page, "Tom saw a big")
    expect(page).to_have_url(re.compile("Tom"))
    write_prompt(page, "Sue saw a small")
    expect(page).to_have_url(re.compile("Sue"))
    for wanted in ("Tom saw a big", DEFAULT_PROMPT):
        page.go_back()
        settle(page)
        expect_prompt(page, wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "link",
    [
        "layer=99&head=99&pos=99",
        "layer=-1&head=x&temperature=nan&top_k=0&seed=99999999999999999999",
        f"prompt={quote('<script>alert(1)</script> **b** $x$')}",
    ],
)
def test_link_with_nonsense_opens(open_browser, app_url, link):
    page = open_browser(f"{app_url}{ATTENTION}?{link}")
    expect(page.get_by_role("heading", level=1, name="Attention")).to_be_visible()


def test_bad_prompts_get_one_sentence_and_are_kept(page):
    write_prompt(page, "word " * 20_000)
    expect(page.get_by_test_id("stAlert")).to_have_count(1)
    expect(page.locator(".st-key-text_bar").get_by_text("too long")).to_be_visible()
    expect_prompt(page, "word " * 20_000)
    write_prompt(page, "   ")
    expect(page.get_by_text("type a prompt to begin")).to_be_visible()
    write_prompt(page, "\x07 a\u202eb <b>x</b> $x^2$ **c** 👩‍👩‍👧 שלום")
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_missing_model_gets_one_sentence_and_the_sidebar_stays(page):
    page.get_by_test_id("stSidebar").get_by_text("Your own model").click()
    field = page.get_by_role("textbox", name="Folder or Hub id")
    field.fill("/no/such/folder")
    field.press("Enter")
    settle(page)
    expect(page.get_by_test_id("stAlert").get_by_text("There is no folder")).to_be_visible()
    expect(page.get_by_role("button", name="Edit the prompt")).to_be_visible()


@pytest.mark.slow
def test_dark_theme_reaches_page_and_components(open_browser, app_url):
    shades = {}
    for scheme in ("light", "dark"):
        page = open_browser(f"{app_url}{ATTENTION}", scheme=scheme)
        page.locator(".tile").first.wait_for()
        shades[scheme] = page.evaluate(
            "() => [document.querySelector('.stApp'),"
            " document.querySelector('[data-testid=stBidiComponentIsolated]')]"
            ".map((e, i) => getComputedStyle(e).getPropertyValue("
            "i ? '--st-primary-color' : 'background-color'))"
        )
    assert shades["light"][0] == "rgb(255, 255, 255)"
    assert shades["dark"][0] != shades["light"][0]
    assert shades["dark"][1] != shades["light"][1]


@pytest.mark.parametrize("address", ["", GENERATION, ATTENTION])
def test_nothing_overflows_a_narrow_phone(open_browser, app_url, address):
    page = open_browser(app_url + address, width=400, height=800)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 400


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("/from-prompt-to-next-token", "Forward pass"),
        ("/forward_pass", "Forward pass"),
        ("/generation", "Generation"),
        ("/What-Each-Head-Reads", "Attention"),
        ("/kv-cache", "KV cache"),
        ("/why-this-token/", "Generation"),
        ("/no/such/page", "No such page"),
    ],
)
def test_natural_spellings_lead_to_a_page_and_no_address_to_nothing(
    open_browser, app_url, address, title
):
    page = open_browser(f"{app_url}{address}?layer=2")
    expect(page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page).to_have_title(f"{title} · Inlook")


@pytest.mark.slow
def test_a_link_to_a_page_carries_the_view_into_a_new_tab(page, open_browser, app_url):
    go_to(page, "Attention")
    write_prompt(page, "Tom saw a big")
    layers(page).get_by_role("radio", name="3", exact=True).click()
    expect(page).to_have_url(re.compile("layer=3"))
    settle(page)
    link = page_links(page).get_by_role("link", name="Layers", exact=True)
    expect(link).to_have_attribute("href", re.compile("layer=3"))
    other = open_browser(link.evaluate("link => link.href"))
    expect(other.get_by_role("heading", level=1, name="Layers")).to_be_visible()
    expect_prompt(other, "Tom saw a big")
    expect(layers(other).get_by_role("radio", name="3", exact=True)).to_be_checked()


@pytest.mark.slow
def test_the_first_model_can_be_chosen_after_one_that_does_not_open(open_browser, app_url):
    page = open_browser(f"{app_url}?model=broken")
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=re.compile(r"^storyteller \(")).click()
    expect(page.locator(".flow .token").first).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


@pytest.mark.slow
def test_a_part_that_is_switched_off_is_off_on_every_page(open_browser, app_url):
    page = open_browser(f"{app_url}{ATTENTION}?interventions=ablate_attention,0~")
    switched_off = page.get_by_test_id("stSidebar").get_by_role(
        "button", name=re.compile("layer 0 switched off")
    )
    expect(switched_off).to_be_visible()
    go_to(page, "Layers")
    expect(switched_off).to_be_visible()
    expect(page).to_have_url(re.compile("interventions="))
    switched_off.click()
    expect(switched_off).to_have_count(0)
    expect(page).not_to_have_url(re.compile("interventions="))
