"""What does a technical word mean? Said once, for the glossary, for pages and for captions.

st.caption(f"The {term('prefill')} ran {n} positions.")
"""

import functools
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import streamlit as st

ADDRESS = "words-and-colours"
"""Of the page that shows all of them."""
SOURCE = Path(__file__).with_name("terms.toml")


class Term(NamedTuple):
    """One word and its meaning."""

    name: str
    topic: str
    says: str
    """One or two sentences of Markdown."""
    pages: tuple[str, ...]
    """The folders of the pages that list it; the first one shows it best."""
    colour: str | None = None
    """The name of its colour in `theme.ROLES`, if it has one."""


@functools.cache
def terms() -> dict[str, Term]:
    """Return all words, by topic and as they follow from each other."""
    told = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    return {
        name: Term(name, of["topic"], of["says"], tuple(of["pages"]), of.get("colour"))
        for name, of in told.items()
    }


def term(name: str, shown: str | None = None) -> str:
    """Return a word as Markdown that leads to its meaning, in a tab of its own.

    Args:
        name: The word as the glossary has it.
        shown: How it stands in the sentence, such as in the plural.
    """
    of = terms()[name]
    return f"[{shown or of.name}]({ADDRESS}?{urlencode({'glossary.word': of.name})})"


def in_words(of: Term) -> str:
    """Write a word and its meaning in one line of Markdown."""
    return f"**{of.name}**: {of.says}"


def words_of_page(folder: str) -> None:
    """Offer the words of a page, with their meanings, in one press."""
    found = [of for of in terms().values() if folder in of.pages]
    if not found:
        return
    with st.popover("Words", icon=":material/dictionary:", type="tertiary"):
        st.markdown("\n\n".join(map(in_words, found)))
        st.markdown(f"[All words, and what the colours mean]({ADDRESS})")
