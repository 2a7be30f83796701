"""Text of models and users is drawn as it stands, read by a Markdown parser as browsers read it."""

import pytest
from markdown_it import MarkdownIt

from pages.text import code_span, escape_markdown, visible

ODD = [
    "<b>",
    "$x$",
    "|",
    "`",
    "``a`",
    "**x**",
    "_x_",
    "[a](b)",
    "# a",
    "1. a",
    ":red[x]",
    "\\",
    "&lt;",
]


def inline(markdown):
    """The inline tokens of one paragraph: their types and their texts."""
    (paragraph,) = [one for one in MarkdownIt().parse(markdown) if one.type == "inline"]
    return [(one.type, one.content) for one in paragraph.children]


@pytest.mark.parametrize("text", ODD)
def test_escaped_text_reads_as_itself(text):
    found = inline(f"a {escape_markdown(text)} b")
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    assert "".join(content for _, content in found) == f"a {text} b"


@pytest.mark.parametrize("text", ODD)
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
