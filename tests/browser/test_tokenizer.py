"""The Tokenizer page: chips, merges, search and a second tokenizer, driven by hand."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.driving import ROOT, settle

TOKENIZER = "/text-to-tokens"


@pytest.fixture
def open_tokenizer(open_browser, app_url):
    def open_tokenizer(prompt, **options):
        page = open_browser(f"{app_url}{TOKENIZER}?prompt={quote(prompt)}", **options)
        expect(page.locator(".st-key-tokenizer_tokens .token").first).to_be_visible()
        return page

    return open_tokenizer


def choose(page, label, text):
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(text)
    box.press("Enter")
    settle(page)


def test_clicking_a_token_explains_it_and_merges_its_word(open_tokenizer):
    bpe = json.loads((ROOT / "models/storyteller/tokenizer.json").read_text())["model"]
    token_id = bpe["vocab"]["Ġlittle"]
    rank = ["".join(pair) for pair in bpe["merges"]].index("Ġlittle")
    page = open_tokenizer("Once upon a time, there was a little")
    chip = page.locator(".st-key-tokenizer_tokens .token").filter(has_text="little")
    hover = f"token 9: ·little, ID {token_id}, bytes 20 6C 69 74 74 6C 65, merge rank {rank:,} of"
    expect(chip).to_have_attribute("title", f"{hover} {len(bpe['merges']):,}")
    chip.click()
    expect(page.get_by_text(f"has the token ID {token_id:,}")).to_be_visible()
    ladder = page.get_by_role("figure", name="Merges of ·little: 7 pieces become 1")
    expect(ladder.locator(".bartext").last).to_have_text("·little")
    choose(page, "Word", "unhappily")
    expect(page.get_by_role("figure", name="Merges of unhappily: 9 pieces")).to_be_visible()


@pytest.mark.slow
def test_odd_text_stays_readable_and_fits_a_phone(open_tokenizer):
    page = open_tokenizer("é👩‍👩‍👧 שלום <b>x</b> \0<|endoftext|>", width=400, scheme="dark")
    tokens = page.locator(".st-key-tokenizer_tokens")
    expect(tokens.locator(".heading").nth(1)).to_have_text("👩‍👩‍👧")
    expect(tokens.get_by_text("⟨0⟩")).to_be_visible()
    assert tokens.locator("b").count() == 0
    assert tokens.locator(".mark").all_inner_texts() == ["added", "special"]
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 400


@pytest.mark.slow
def test_search_and_a_missing_tokenizer(open_tokenizer):
    page = open_tokenizer("the cat")
    search = page.get_by_role("textbox", name="Text or token ID")
    search.fill("·the")
    search.press("Enter")
    expect(page.get_by_text("tokens contain this")).to_be_visible()
    choose(page, "Compare with", "/no/such/folder")
    expect(page.get_by_test_id("stAlert").get_by_text("There is no folder")).to_be_visible()
    expect(page.get_by_text("Try next")).to_be_visible()


@pytest.mark.slow
def test_what_was_typed_and_opened_survives_a_reload(open_tokenizer):
    page = open_tokenizer("the cat")
    choose(page, "Word", "unhappily")
    page.get_by_text("Show bytes").click()
    page.get_by_text("Table", exact=True).click()
    grid = page.get_by_test_id("stExpander").get_by_test_id("stDataFrame")
    expect(grid).to_be_visible()
    expect(page).to_have_url(re.compile("tokenizer.table=1"))
    page.reload()
    settle(page)
    expect(page.get_by_role("figure", name="Merges of unhappily: 9 pieces")).to_be_visible()
    expect(page.get_by_role("combobox", name="Word")).to_have_value("unhappily")
    expect(page.get_by_role("switch", name="Show bytes")).not_to_be_checked()
    expect(grid).to_be_visible()
