"""What do all parts of the Feedforward page look at? One run, one token of it, one next word."""

from typing import NamedTuple

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.parts.abilities import Abilities
from pages.text import escape_markdown


class Scene(NamedTuple):
    """What is looked at."""

    asked: Run
    info: ModelInfo
    abilities: Abilities
    tokens: tuple[str, ...]
    pos: int
    word: int
    """The token ID of the next word that is followed."""
    name: str
    """That word, for people."""


def bold(token: str) -> str:
    """Return a token as bold Markdown that shows it as it stands."""
    return f"**{escape_markdown(token)}**"
