"""Text that came from a model or a user, made safe and visible; large numbers, made readable."""

import re
import unicodedata

from viz.kv_cache import byte_unit, three_digits

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&^=])")
_VISIBLE = {" ": "·", "\n": "↵", "\r": "↵", "\t": "⇥", "\u00a0": "⍽"}
_NO_SHAPE = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
_NO_SHAPE_ALONE = ("Cf", "Mn", "Me")
"""Joiners and accents: kept beside other characters, spelled out when a token is nothing else."""


def escape_markdown(text: str) -> str:
    """Return Markdown that shows the text as it stands, LaTeX and HTML included."""
    return _MARKDOWN.sub(r"\\\1", text)


def visible(token: str) -> str:
    """Make spaces (·), newlines (↵) and invisible characters of a token visible.

    For labels only: the result reads like the token, but is not the same text.
    """
    if token and all(unicodedata.category(character) in _NO_SHAPE_ALONE for character in token):
        return "".join(map(_code_point, token))
    return "".join(map(_visible_character, token)) or "∅"


def size_text(n_bytes: float) -> str:
    """Write a number of bytes for people."""
    unit, name = byte_unit(n_bytes)
    return f"{three_digits(n_bytes / unit)} {name}" if unit > 1 else f"{n_bytes:,.0f} {name}"


def operations(n_flops: float) -> str:
    """Write a number of floating-point operations for people."""
    for unit, name in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP")):
        if n_flops >= unit:
            return f"{three_digits(n_flops / unit)} {name}"
    return f"{n_flops:,.0f} FLOP"


def _visible_character(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    return _code_point(character) if unicodedata.category(character) in _NO_SHAPE else character


def _code_point(character: str) -> str:
    return f"⟨{ord(character):X}⟩"
