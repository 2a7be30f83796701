"""What did the run that predicts a token compute, and what of it can the next one go on from?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from model_hooks.parts.abilities import Ways
from model_hooks.run.flops import attention_flops
from model_hooks.run.interventions import Intervention
from model_hooks.run.segment import Segment
from model_hooks.run.trace import last_attention
from model_hooks.write.caching import cache_bytes, fork, shortened
from model_hooks.write.stores import BoundedStore, SharedBytes

FORWARD_BYTES = 48 * 2**20
CACHE_BYTES = 24 * 2**20
"""What all models together may keep of either."""
_FORWARDS, _CACHES = SharedBytes(FORWARD_BYTES), SharedBytes(CACHE_BYTES)
SHARED_PREFIX = 16
"""From this many common tokens on, a new prompt goes on from what an earlier one computed."""


@runtime_checkable
class Runner(Protocol):
    """What runs: a model, seen from here."""

    def run_recorded(
        self,
        token_ids: tuple[int, ...],
        new_rows: int,
        cache: Any,
        use_cache: bool,
        interventions: Sequence[Intervention],
    ) -> tuple[Segment, Float[np.ndarray, "vocab"], Any]:
        """Run the positions that `cache` lacks and record the last `new_rows`."""
        ...

    def weight_flops(self, rows: int) -> int:
        """Return the operations of all products with weights when `rows` positions run."""
        ...


@dataclass(frozen=True, eq=False)
class Forward:
    """One run of the model for generation: the logits after `token_ids`, and what it took."""

    token_ids: tuple[int, ...]
    logits: Float[np.ndarray, "vocab"]
    segments: tuple[Segment, ...]
    """What was recorded for every position so far; shared with the runs before."""
    rows_computed: int
    flops: int
    seconds: float
    cache_bytes: int
    prefill: bool
    """Whether this was the first run of the text: it computes the whole prompt."""

    def attention(self, layer: int) -> Float[np.ndarray, "head pos"]:
        """Return what the last position, which predicts the next token, attends to.

        Raises:
            LayerError: The model lacks that layer, or it has no attention.
        """
        return last_attention(self.segments, layer)


class Variant(NamedTuple):
    """How a text is run: runs of different variants have nothing in common."""

    use_cache: bool
    interventions: tuple[Intervention, ...] = ()


class Forwards:
    """The runs of one model for generation, and the KV caches they left.

    Both are bounded and keyed by the text: stepping, rewinding, branching and editing the end of a
    prompt reuse what is there. Losing something only costs time. Safe to use from many threads.

    Args:
        ways: What the model's KV caches were tried for; nothing else is done with them.
    """

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._forwards: BoundedStore[Forward] = BoundedStore(
            FORWARD_BYTES, _forward_bytes, _FORWARDS
        )
        self._caches: BoundedStore[Any] = BoundedStore(CACHE_BYTES, cache_bytes, _CACHES)

    def after(
        self,
        runner: Runner,
        token_ids: tuple[int, ...],
        n_prompt: int,
        variant: Variant,
        segments: tuple[Segment, ...] | None = None,
    ) -> tuple[Forward, bool]:
        """Return the run that predicts the token after a text, and whether it was still kept.

        Args:
            runner: The model, always the same.
            token_ids: The whole text: the prompt, and what was written after it.
            n_prompt: How many of them are the prompt.
            variant: How it is run.
            segments: What was recorded for the beginning of the text, where the caller has it; None
                looks for it among the runs kept.
        """
        if (kept := self._forwards.get((token_ids, variant))) is not None:
            return kept, True
        segments, cache = self._go_on_from(token_ids, n_prompt, variant, segments)
        new_rows = len(token_ids) - _length(segments)
        rows = len(token_ids) if cache is None else new_rows

        started = time.perf_counter()
        segment, logits, cache = runner.run_recorded(
            token_ids, new_rows, cache, variant.use_cache, variant.interventions
        )
        seconds = time.perf_counter() - started

        forward = Forward(
            token_ids=token_ids,
            logits=logits,
            segments=(*segments, segment),
            rows_computed=rows,
            flops=runner.weight_flops(rows) + attention_flops(segment.layers, rows),
            seconds=seconds,
            cache_bytes=cache_bytes(cache),
            prefill=len(token_ids) == n_prompt,
        )
        self._forwards.put((token_ids, variant), forward)
        if cache is not None:
            self.keep_cache(token_ids, variant, cache)
        return forward, False

    def cache_for(self, token_ids: tuple[int, ...], variant: Variant, n_after: int) -> Any:
        """Return a KV cache of exactly these positions, free to grow; None if there is none.

        Args:
            token_ids: The positions.
            variant: How they are run.
            n_after: How long the text is that will go on from it.
        """
        if self._ways.uncounted_id in token_ids:
            return None
        exact = self._caches.get((token_ids, variant))
        if exact is not None and self._fits(len(token_ids), n_after):
            return fork(exact)
        if not self._ways.shortens:
            return None
        for (longer, same), cache in self._caches.items():
            begins = same == variant and longer[: len(token_ids)] == token_ids
            if begins and longer != token_ids and self._fits(len(longer), n_after):
                return shortened(cache, len(token_ids))
        return None

    def _fits(self, n_before: int, n_after: int) -> bool:
        """Whether what a text of `n_before` tokens left is what one of `n_after` would leave."""
        return self._ways.same_rotation(n_before, n_after)

    def keep_cache(self, token_ids: tuple[int, ...], variant: Variant, cache: Any) -> None:
        """Keep the KV cache that a run left; it must not grow any more."""
        self._caches.put((token_ids, variant), cache)

    def forget(self) -> None:
        """Drop everything; the next runs compute anew."""
        self._forwards.clear()
        self._caches.clear()

    def _go_on_from(
        self,
        token_ids: tuple[int, ...],
        n_prompt: int,
        variant: Variant,
        segments: tuple[Segment, ...] | None,
    ) -> tuple[tuple[Segment, ...], Any]:
        """Return what is recorded of the beginning of a text, and a KV cache of just as much."""
        if segments is None and len(token_ids) > n_prompt:
            before = self._forwards.get((token_ids[:-1], variant))
            segments = None if before is None else before.segments
        if segments and not self._fits(_length(segments), len(token_ids)):
            return (), None
        if segments:
            n_new = len(token_ids) - _length(segments)
            if not variant.use_cache or not self._goes_on_by(n_new):
                return segments, None
            return segments, self.cache_for(token_ids[: _length(segments)], variant, len(token_ids))
        return self._shared_prefix(token_ids, variant) if variant.use_cache else ((), None)

    def _goes_on_by(self, n_new: int) -> bool:
        return n_new == 1 or self._ways.continues_by_many

    def _shared_prefix(
        self, token_ids: tuple[int, ...], variant: Variant
    ) -> tuple[tuple[Segment, ...], Any]:
        """Return what an earlier text with the same beginning left: its segments and cache."""
        best, length = None, SHARED_PREFIX - 1
        for (ids, same), forward in self._forwards.items():
            common = _common_length(ids, token_ids[:-1])
            fits = self._fits(len(ids), len(token_ids)) and self._goes_on_by(
                len(token_ids) - common
            )
            if same == variant and common > length and fits:
                best, length = forward, common
        if best is None:
            return (), None
        cache = self.cache_for(token_ids[:length], variant, len(token_ids))
        segments = None if cache is None else _first_positions(best.segments, length)
        return ((), None) if segments is None else (segments, cache)


def _length(segments: Sequence[Segment]) -> int:
    return sum(len(segment.token_ids) for segment in segments)


def _common_length(a: Sequence[int], b: Sequence[int]) -> int:
    for i, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return i
    return min(len(a), len(b))


def _first_positions(segments: Sequence[Segment], length: int) -> tuple[Segment, ...] | None:
    """Return the segments of the first `length` positions, the last one cut; None: it cannot."""
    found: list[Segment] = []
    for segment in segments:
        if length <= 0:
            break
        cut = segment if len(segment.token_ids) <= length else segment.shortened(length)
        if cut is None:
            return None
        found.append(cut)
        length -= len(segment.token_ids)
    return tuple(found)


def _forward_bytes(forward: Forward) -> int:
    """Bytes that only this run holds: earlier segments belong to the runs before it."""
    return forward.logits.nbytes + forward.segments[-1].nbytes


def kept_bytes() -> int:
    """Return the bytes of all runs and KV caches that are kept, of all models."""
    return _FORWARDS.held + _CACHES.held
