"""Text that came from a model or a user, made safe and visible."""

import re
import unicodedata

from viz.numbers import operations, size_text

__all__ = ["code_span", "escape_markdown", "operations", "size_text", "visible"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&^=])")
_READ_TOGETHER = re.compile(
    r"(?<=[:@])(?=\S|\Z)|(?<=www)(?=\.)|(?<=[<>~-])(?=[>=-])", re.IGNORECASE | re.ASCII
)
"""Where to cut a text so that no part is an address, a shortcode or an arrow."""
_NOTHING = ":small[]"
"""Streamlit's Markdown for an empty span: it shows nothing and is copied as nothing."""
_ICON = re.compile(r"(?<=:)(?=material/)")
_BACKTICKS = re.compile(r"`+")
_VISIBLE = {" ": "·", "\n": "↵", "\r": "↵", "\t": "⇥", "\u00a0": "⍽"}
_NO_SHAPE = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
_NO_SHAPE_ALONE = ("Cf", "Mn", "Me")
"""Joiners and accents: kept beside other characters, spelled out when a token is nothing else."""


def escape_markdown(text: str) -> str:
    """Return Markdown that shows the text as it stands, LaTeX and HTML included.

    Backslashes are not enough: once Streamlit has read them, it makes links of bare addresses,
    pictures of `:cat:` and arrows of `->` in what is left, span by span. An empty span between two
    of their characters keeps each as it is.
    """
    parts = _READ_TOGETHER.split(text)
    return _NOTHING.join(_MARKDOWN.sub(r"\\\1", part) for part in parts)


def code_span(text: str) -> str:
    """Return Markdown that shows a text as code, as it stands, backticks included."""
    # Streamlit writes the names of its icons in another way, in code too.
    return _NOTHING.join(map(_one_span, _ICON.split(text)))


def _one_span(text: str) -> str:
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def visible(token: str) -> str:
    """Make spaces (·), newlines (↵) and invisible characters of a token visible.

    For labels only: the result reads like the token, but is not the same text.
    """
    if token and all(unicodedata.category(character) in _NO_SHAPE_ALONE for character in token):
        return "".join(map(_code_point, token))
    return "".join(map(_visible_character, token)) or "∅"


def _visible_character(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    return _code_point(character) if unicodedata.category(character) in _NO_SHAPE else character


def _code_point(character: str) -> str:
    return f"⟨{ord(character):X}⟩"
