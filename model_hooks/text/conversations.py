"""What is a conversation? Turns, each with the role of who speaks and what is said."""

from collections.abc import Mapping, Sequence

from model_hooks.errors import PromptError
from model_hooks.text.tokens import clean_text

Conversation = str | Sequence[Mapping[str, str]]
"""Turns such as `{"role": "user", "content": "Hi"}`; a text alone is the turn of a user."""

MAX_TURNS = 1000
MAX_CHARACTERS = 1_000_000


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
