"""How many tokens still fit into a context?

A text as long as the context can be run, and its last position predicts one more token, which need
not run any more: so a context of n positions holds n tokens that are read and one that is written.
"""

from model_hooks.arrays import check_count
from model_hooks.errors import PromptError


def room(context_size: int | None, n_tokens: int) -> int | None:
    """Return how many tokens can be written after a text of `n_tokens`; None without a limit."""
    return None if context_size is None else max(0, context_size + 1 - n_tokens)


def check_room(context_size: int | None, n_tokens: int, n_new: int) -> None:
    """Refuse to write more tokens after a text than the context holds.

    Raises:
        PromptError: They do not fit, and the message says how many do; or there is none.
    """
    n_new = check_count("The number of tokens to write", n_new, PromptError, 1)
    most = room(context_size, n_tokens)
    if most is not None and n_new > most:
        raise PromptError(
            f"{n_new:,} tokens do not fit after {n_tokens:,}: this model reads at most "
            f"{context_size:,}, so it can write at most {most:,} here."
        )
