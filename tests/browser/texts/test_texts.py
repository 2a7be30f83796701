"""What a browser makes of texts that look like Markdown, addresses or pictures: themselves."""

import pytest
from playwright.sync_api import expect

from tests.browser.driving import serve, settle
from tests.hostile_texts import AFTER_MARKDOWN, MARKDOWN

ALL = (*MARKDOWN, *AFTER_MARKDOWN)
KINDS = "stMarkdownContainer", "stCaptionContainer", "stHeadingWithActionElements"
SHOWN = "all => all.map(one => one.textContent)"
MADE_OF_TEXT = (
    "a[href]:not([href^='#']), img, [role=img], em, strong strong, del, sub, sup, li, hr, table, "
    ".katex, b"
)


@pytest.fixture(scope="module")
def demo(chromium, tmp_path_factory):
    log = tmp_path_factory.mktemp("demo") / "log.txt"
    with serve(log, script="tests/browser/texts/demo.py") as url:
        page = chromium.new_page()
        page.goto(url)
        settle(page)
        expect(page.get_by_test_id("stMultiSelect")).to_be_visible()
        yield page
        page.close()


def shown(box):
    """The text of everything that reads Markdown."""
    found = box.locator(", ".join(f"[data-testid={kind}]" for kind in KINDS))
    return found.evaluate_all(SHOWN)


@pytest.mark.parametrize("i", range(len(ALL)), ids=ALL)
def test_text_is_drawn_as_it_stands(demo, i):
    box, text = demo.locator(f".st-key-text{i}"), ALL[i]
    ways = {f"a {text} b", f"{text}:{text}", f"{text} “{text}”", text, "1"}
    assert set(shown(box)) == ways
    assert box.locator(MADE_OF_TEXT).evaluate_all("all => all.map(one => one.outerHTML)") == []


@pytest.mark.parametrize("kind", ["stRadio", "stButtonGroup"])
def test_options_are_drawn_as_they_stand(demo, kind):
    box = demo.get_by_test_id(kind)
    assert shown(box.get_by_role("radio").or_(box.locator("label:has(input)"))) == list(ALL)
    assert box.locator(MADE_OF_TEXT).count() == 0


def test_options_of_a_list_are_no_markdown(demo):
    text = demo.get_by_test_id("stMultiSelect").text_content()
    assert text.endswith("".join(ALL))
