"""What is a conversation? Turns, each with the role of who speaks and what is said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_hooks.errors import PromptError
from model_hooks.text.tokens import clean_text

Conversation = str | Sequence[Mapping[str, str]]
"""Turns such as `{"role": "user", "content": "Hi"}`; a text alone is the turn of a user."""

MAX_TURNS = 1000
MAX_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Asked:
    """What a chat template is asked for besides the turns."""

    answer: bool = True
    """Whether the text ends where an answer begins (`add_generation_prompt`)."""
    begins: str = ""
    """How the answer begins; only where one is asked for."""
    thinking: bool | None = None
    """Whether the model is to think first (`enable_thinking`); None leaves it to the template."""
    tools: str = ""
    """Functions that the model may call: a JSON list of objects; empty for none."""

    @property
    def beginning(self) -> str:
        """How the answer begins."""
        return clean_text(self.begins) if self.answer else ""


AS_USUAL = Asked()
"""An answer, and all else as the template has it."""


def turns_of(conversation: object) -> list[dict[str, str]]:
    """Return the turns of a conversation, each with `role` and `content`.

    Raises:
        PromptError: It is no conversation, is empty, or is too long.
    """
    if isinstance(conversation, str):
        conversation = [{"role": "user", "content": conversation}]
    if not isinstance(conversation, Sequence) or not conversation:
        raise PromptError("A conversation is a list of turns, at least one: this is none.")
    if len(conversation) > MAX_TURNS:
        raise PromptError(f"A conversation has at most {MAX_TURNS:,} turns.")
    turns = [_turn(i, turn) for i, turn in enumerate(conversation)]
    if sum(len(turn["content"]) + len(turn["role"]) for turn in turns) > MAX_CHARACTERS:
        raise PromptError(f"A conversation has at most {MAX_CHARACTERS:,} characters.")
    return turns


def _turn(i: int, turn: object) -> dict[str, str]:
    said = {key: turn.get(key) for key in ("role", "content")} if isinstance(turn, Mapping) else {}
    if not said or not all(isinstance(text, str) for text in said.values()):
        raise PromptError(
            f"Turn {i} of the conversation needs a role and its content, both of them texts."
        )
    return {key: clean_text(str(text)) for key, text in said.items()}


def tools_of(text: str) -> list[dict[str, Any]] | None:
    """Return the tools that a JSON text lists; None for none.

    Raises:
        PromptError: It is no list of objects, or is too long.
    """
    if not text.strip():
        return None
    if len(text) > MAX_CHARACTERS:
        raise PromptError(f"The tools have at most {MAX_CHARACTERS:,} characters.")
    try:
        tools = json.loads(clean_text(text))
    except (ValueError, RecursionError):
        tools = None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise PromptError(
            'The tools are a list in JSON, such as [{"type": "function", "function": {"name": '
            '"weather"}}]: this is none.'
        )
    return tools or None
