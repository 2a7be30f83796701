"""Can a model read this prompt? Checked before anything runs, with a sentence if not."""

import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from model_hooks.arrays import as_whole
from model_hooks.errors import PromptError

Prompt = str | Sequence | np.ndarray
"""A text, or token IDs."""
NO_TOKENS = (
    "This prompt has no tokens: the tokenizer drops all of it, because its vocabulary lacks these "
    "characters or takes them for nothing. Type something else."
)


def checked_ids(
    prompt: Prompt, encode: Callable[[str], list[int]], n_embeddings: int, context_size: int | None
) -> tuple[int, ...]:
    """Return the token IDs of a prompt that a model can read.

    Args:
        prompt: A text or token IDs.
        encode: Turns a text into token IDs.
        n_embeddings: How many token IDs the model has vectors for.
        context_size: Most positions; None where nothing limits them.

    Raises:
        PromptError: It is empty, too long, or has an ID out of range.
    """
    if isinstance(prompt, str):
        if not prompt:
            raise PromptError("The prompt is empty: type at least one word.")
        token_ids = encode(prompt)
        if len(token_ids) == 0:
            raise PromptError(NO_TOKENS)
    else:
        token_ids: Any = prompt.tolist() if isinstance(prompt, np.ndarray) else prompt
        if not isinstance(token_ids, Iterable):
            raise PromptError(f"{reprlib.repr(prompt)} is no prompt: give a text or token IDs.")
        token_ids = list(token_ids)
    if len(token_ids) == 0:
        raise PromptError("The prompt is empty: it has no tokens.")
    check_length(len(token_ids), context_size, generating=False)
    check_token_ids(token_ids, n_embeddings)
    return tuple(int(token_id) for token_id in token_ids)


def beginning(token_ids: Sequence | np.ndarray, stop: int | None) -> Sequence | np.ndarray:
    """Return the first token IDs of a text, up to a position as slices count it.

    Raises:
        PromptError: It is no position.
    """
    if stop is not None and as_whole(stop) is None:
        raise PromptError(f"{reprlib.repr(stop)} is no number of positions.")
    return token_ids[:stop]


def check_length(length: int, context_size: int | None, generating: bool) -> None:
    """Refuse a text that is longer than the context.

    Raises:
        PromptError: It is; the sentence says what to do about it.
    """
    if context_size is None or length <= context_size:
        return
    if generating:
        raise PromptError(
            f"The context is full: this model reads at most {context_size} tokens. Go back some "
            "steps or start from a shorter prompt."
        )
    raise PromptError(
        f"The prompt has {length} tokens, but this model reads at most {context_size}: shorten it."
    )


def check_token_ids(token_ids: Sequence, n_embeddings: int) -> None:
    """Refuse what is no token ID.

    Raises:
        PromptError: One is no whole number, or out of range.
    """
    for token_id in token_ids:
        if as_whole(token_id) is None:
            said = reprlib.repr(token_id)
            raise PromptError(f"{said} is not a token ID: IDs are whole numbers.")
        if not 0 <= token_id < n_embeddings:
            raise PromptError(
                f"Token ID {token_id} is out of range: this model's run from 0 to "
                f"{n_embeddings - 1}."
            )
