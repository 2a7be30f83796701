"""A conversation in a real browser: say something, be answered, fold what the template wrote."""

import pytest
from playwright.sync_api import expect

from tests.browser.driving import settle
from tests.talking import talking


@pytest.fixture
def folder(tmp_path):
    model = talking()
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_turn_is_answered_and_the_templates_tokens_fold(open_browser, app_url, folder):
    page = open_browser(f"{app_url}/tokenizer?model={folder}&n_per_run=5")
    settle(page)
    page.get_by_role("button", name="Chat", exact=True).click()
    settle(page)
    page.get_by_role("textbox", name="The next turn").fill("Hello there")
    page.get_by_test_id("stBaseButton-primaryFormSubmit").click()
    chips = page.locator(".st-key-text_bar_strip .token")
    expect(page.locator(".st-key-text_bar_strip .by-user")).to_have_count(len("Hello there"))
    expect(page.locator(".st-key-text_bar_strip .by-assistant")).to_have_count(5)
    expect(page.get_by_role("textbox", name="The model", exact=True)).to_be_visible()
    n_chips = chips.count()
    page.get_by_text("Fold the template's tokens").click()
    folded = page.locator(".st-key-text_bar_strip .folds")
    expect(folded).to_have_count(2)
    n_folded = sum(int(one.get_attribute("data-folds")) - 1 for one in folded.all())
    expect(page.locator(".st-key-text_bar_strip .token:visible")).to_have_count(n_chips - n_folded)
    folded.first.focus()
    folded.first.press("ArrowRight")
    expect(page.locator(".st-key-text_bar_strip .by-user").first).to_be_focused()
    link = page.url
    again = open_browser(link)
    settle(again)
    expect(again.locator(".st-key-text_bar_strip .by-user")).to_have_count(len("Hello there"))
    expect(again.locator(".st-key-text_bar_strip .folds")).to_have_count(2)
