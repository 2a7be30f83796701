"""What a visitor chooses on the Tokenizer page."""

from dataclasses import dataclass, field

from model_hooks.read.tokenizers import SINGLE_BYTES
from pages.state.view import of_page

FOLLOWS_TOKEN = {"belongs_to": ("model", "prompt", "pos"), "forgotten": True}
"""Begins anew with another token."""


@of_page("tokenizer")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    bytes: bool = True
    """Whether the chips show the bytes of their tokens."""
    table: bool = False
    """Whether the table of all tokens is open."""
    word: str | None = field(default=None, metadata=FOLLOWS_TOKEN)
    """The word whose merges are shown, as it is written on the chips; None is that of the token."""
    template: bool = False
    """Whether the chat template is open."""
    query: str = ""
    """What is looked for in the vocabulary."""
    second: str = SINGLE_BYTES
    """The tokenizer to compare with."""
