"""How fast does a model read and write? One measurement; ask for several models in turns.

Nothing is recorded, and nothing that other runs kept is used.
"""

import time
from typing import NamedTuple

from model_hooks.model import HookedModel


class Speed(NamedTuple):
    """What one reading and a few written tokens took."""

    reading: float
    """Seconds of one run over the whole text, without a KV cache."""
    steps: tuple[float, ...]
    """Seconds of each token written with the KV cache, but for the first, which reads the text."""


def measure_speed(
    model: HookedModel, token_ids: tuple[int, ...], n_read: int, n_written: int, round_id: int = 0
) -> Speed:
    """Time one run over a text, and some tokens written after its beginning.

    Args:
        model: The model.
        token_ids: The text: how long it is matters, what it says does not.
        n_read: After how many of its tokens writing begins.
        n_written: How many tokens are written.
        round_id: Tells one measurement from the next: answers are kept.

    Raises:
        PromptError: The text cannot be run.
    """
    token_ids = model.start(token_ids).prompt_ids
    started = time.perf_counter()
    model.run_unrecorded(token_ids, use_cache=False)
    reading = time.perf_counter() - started
    written, cache, seconds = token_ids[:n_read], None, []
    for _ in range(n_written):
        n_cached = 0 if cache is None else len(written) - 1
        started = time.perf_counter()
        logits, cache = model.run_unrecorded(written, n_cached, cache)
        seconds.append(time.perf_counter() - started)
        written = (*written, int(logits.argmax()))
    return Speed(reading, tuple(seconds[1:]))
