"""Text of models and users is drawn as it stands, read by a Markdown parser as browsers read it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from pages.text import code_span, escape_markdown, visible
from tests.hostile_texts import AFTER_MARKDOWN, MARKDOWN

TAKEN_FOR_MORE = re.compile(
    r"https?://\S|www\.\S|\w@\w"  # GitHub's Markdown, 6.9: bare addresses
    r"|:[\w+-]+:"  # shortcodes and icons
    r"|(^|\s)(<->|->|<-|--|>=|<=|~=)(\s|$)",  # Streamlit's arrows and signs
    re.IGNORECASE,
)
"""What Streamlit replaces in a span of text after Markdown was read, and it shows."""
EMPTY_SPAN = ":small[]"
texts = some.text("abcw:./@<>-=~_*`[](){}!#+&;$\\|^ 1", max_size=30)


def inline(markdown):
    """The inline tokens of one paragraph: their types and their texts."""
    (paragraph,) = [one for one in MarkdownIt().parse(markdown) if one.type == "inline"]
    return [(one.type, one.content) for one in paragraph.children]


def spans(markdown):
    """The texts between empty spans, as they read; nothing else may be there."""
    found, runs = inline(markdown), [""]
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    for kind, content in found:
        first, *more = content.split(EMPTY_SPAN) if kind == "text" else [content]
        runs[-1] += first
        runs += more
    return runs


@pytest.mark.parametrize("text", [*MARKDOWN, *AFTER_MARKDOWN])
def test_escaped_text_reads_as_itself(text):
    found = spans(f"a {escape_markdown(text)} b")
    assert "".join(found) == f"a {text} b"
    assert not [span for span in found if TAKEN_FOR_MORE.search(span)]


@pytest.mark.parametrize(
    "text", ["http://a.example", "www.a.example", "a@b.example", ":cat:", "->"]
)
def test_backslashes_alone_would_not_do(text):
    escaped = re.sub(r"([^\w\s])", r"\\\1", text)
    assert [span for span in spans(escaped) if TAKEN_FOR_MORE.search(span)]


@given(texts)
def test_any_text_reads_as_itself(text):
    found = spans(f"a{escape_markdown(text)}b")
    assert "".join(found) == f"a{text}b"
    assert not [span for span in found if TAKEN_FOR_MORE.search(span.removeprefix("a"))]


@pytest.mark.parametrize("text", MARKDOWN)
def test_a_code_span_holds_the_text_as_it_stands(text):
    found = inline(f"a {code_span(text)} b")
    assert ("code_inline", text) in found


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "·the"),
        ("\n\r\t", "↵↵⇥"),
        ("\u00a0", "⍽"),
        ("", "∅"),
        ("\x00", "⟨0⟩"),
        ("\u200d", "⟨200D⟩"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_what_has_no_shape_is_spelled_out(token, shown):
    assert visible(token) == shown
