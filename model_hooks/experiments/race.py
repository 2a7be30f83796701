"""What does each token take with the KV cache on and off? Both write the same text, in turns.

Nothing is recorded, and nothing that other runs kept is used: the first token of every run pays for
the whole prompt. Everything is a plain value: what is measured so far stays when a run is stopped.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks.errors import PromptError
from model_hooks.info import ModelInfo
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.run.interventions import Intervention
from model_hooks.run.trace import LayerTrace
from model_hooks.write.caching import cache_bytes, rows_kept
from model_hooks.write.decoding import Decoding
from model_hooks.write.forwards import Variant
from model_hooks.write.room import check_room

WARM_UP_STEPS = 2


@dataclass(frozen=True)
class TimedStep:
    """One token and what it took."""

    pos: int
    """Its position: the number of tokens before it."""
    token_id: int
    rows_computed: int
    """Positions run through all layers."""
    rows_read: int
    """Positions whose keys and values were read from the cache, the last before the computed
    ones; the most of any layer, where sliding windows differ."""
    seconds: float
    flops: int
    cache_bytes: int
    """Bytes of keys and values held after it."""
    margin: float
    """How far the best logit lies above the second best."""

    @property
    def prefill(self) -> bool:
        """Whether this run had nothing to go on from: it computed every position."""
        return self.rows_read == 0


@dataclass(frozen=True)
class TimedRun:
    """A text being written with the cache on or off."""

    prompt_ids: tuple[int, ...]
    decoding: Decoding
    use_cache: bool
    interventions: tuple[Intervention, ...] = ()
    """What is changed in every run of this text; each of them is recorded then."""
    steps: tuple[TimedStep, ...] = ()

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All token IDs so far, the prompt's first."""
        return self.prompt_ids + tuple(step.token_id for step in self.steps)

    @property
    def cached_ids(self) -> tuple[int, ...]:
        """The text whose keys and values are kept: the newest token has not been run yet."""
        return self.token_ids[:-1] if self.steps else ()

    @property
    def variant(self) -> Variant:
        """How it is run."""
        return Variant(self.use_cache, self.interventions)


@dataclass(frozen=True)
class SideBySide:
    """The same prompt written twice, with the cache on and with it off."""

    on: TimedRun
    off: TimedRun
    differences: tuple[float | None, ...] = ()
    """Per step, the largest difference of any logit; None once the texts have parted."""

    def __len__(self) -> int:
        """Number of steps that both have taken."""
        return len(self.differences)

    def first(self, n_steps: int) -> "SideBySide":
        """Return the first steps alone."""
        on, off = (replace(run, steps=run.steps[:n_steps]) for run in (self.on, self.off))
        return SideBySide(on, off, self.differences[:n_steps])

    @property
    def largest_difference(self) -> float | None:
        """The largest difference of any logit in any step, as long as the texts were the same."""
        return max((gap for gap in self.differences if gap is not None), default=None)

    @property
    def parted_at(self) -> int | None:
        """The first step, from 0, whose tokens differ; None if all are the same."""
        pairs = zip(self.on.steps, self.off.steps, strict=True)
        return next((i for i, (a, b) in enumerate(pairs) if a.token_id != b.token_id), None)


@dataclass(frozen=True)
class Race:
    """Several rounds of the same two runs."""

    rounds: tuple[SideBySide, ...]

    @property
    def n_steps(self) -> int:
        """Steps of the first round, which are all when it was not stopped."""
        return len(self.rounds[0])

    @property
    def complete(self) -> tuple[SideBySide, ...]:
        """The rounds that went as far as the first one."""
        return tuple(pair for pair in self.rounds if len(pair) == self.n_steps)

    def seconds(self, use_cache: bool) -> Float[np.ndarray, "round step"]:
        """Return the time of every step of the complete rounds."""
        runs = [pair.on if use_cache else pair.off for pair in self.complete]
        return np.array([[step.seconds for step in run.steps] for run in runs])

    @property
    def ratios(self) -> Float[np.ndarray, "round"]:
        """Per complete round, the whole time without the cache over the whole time with it."""
        return self.seconds(False).sum(1) / self.seconds(True).sum(1)


def start(
    model: HookedModel,
    prompt_ids: tuple[int, ...],
    decoding: Decoding,
    interventions: tuple[Intervention, ...] = (),
) -> SideBySide:
    """Return two runs at their prompt.

    Raises:
        PromptError: The prompt cannot be run.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be changed.
    """
    generation = model.start(prompt_ids, decoding, interventions=interventions)
    on, off = (
        TimedRun(generation.prompt_ids, decoding, use_cache, generation.interventions)
        for use_cache in (True, False)
    )
    return SideBySide(on, off)


def first_steps(
    model: HookedModel,
    prompt_ids: tuple[int, ...],
    decoding: Decoding,
    n_steps: int,
    interventions: tuple[Intervention, ...] = (),
) -> SideBySide:
    """Return two runs after so many steps, warmed up before; after fewer, where no more fit.

    Raises:
        PromptError: The prompt cannot be run.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be changed.
    """
    pair = start(model, prompt_ids, decoding, interventions)
    with suppress(PromptError):
        for _ in range(min(WARM_UP_STEPS, n_steps)):
            step_both(model, pair)
        while len(pair) < n_steps:
            pair = step_both(model, pair, off_first=len(pair) % 2 == 1)
    return pair


def step_both(model: HookedModel, pair: SideBySide, off_first: bool = False) -> SideBySide:
    """Return both runs with one more token.

    The KV cache that the one goes on from is the model's to keep; where it has lost it, the cache
    is made anew, untimed.

    Args:
        model: The model.
        pair: Both runs so far; they stay as they are.
        off_first: Whether the run without the cache goes first.

    Raises:
        PromptError: The context is full.
    """
    check_room(model.info.context_size, len(pair.on.prompt_ids), len(pair) + 1)
    cache, cached_ids = None, pair.on.cached_ids
    if cached_ids:
        cache = model.forwards.cache_for(cached_ids, pair.on.variant, len(cached_ids) + 1)
    if cached_ids and cache is None:
        _, cache = _run(model, pair.on, cached_ids, 0, None)
    live = _Live(model, pair, cache)
    live.step(off_first)
    if live.cache is not None:
        model.forwards.keep_cache(live.pair.on.cached_ids, pair.on.variant, live.cache)
    return live.pair


def race(
    model: HookedModel,
    prompt_ids: tuple[int, ...],
    decoding: Decoding,
    n_tokens: int = 20,
    n_rounds: int = 3,
    interventions: tuple[Intervention, ...] = (),
) -> Iterator[Race]:
    """Write `n_tokens` both ways, `n_rounds` times, and yield what is measured after each token.

    A few untimed tokens warm up first. Then the runs take turns token by token, and who goes first
    alternates, so that a machine that slows down meanwhile slows both. A token that ends the text
    does not end the race.

    Raises:
        PromptError: The prompt cannot be run, or so many tokens do not fit into the context.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be changed.
    """
    fresh = start(model, prompt_ids, decoding, interventions)
    check_room(model.info.context_size, len(fresh.on.prompt_ids), n_tokens)
    warm = _Live(model, fresh)
    for _ in range(min(WARM_UP_STEPS, n_tokens)):
        warm.step()
    done: tuple[SideBySide, ...] = ()
    for round_id in range(n_rounds):
        live = _Live(model, fresh)
        for step_id in range(n_tokens):
            live.step(off_first=(round_id + step_id) % 2 == 1, like=done[0] if done else None)
            yield Race((*done, live.pair))
        done = (*done, live.pair)


class _Live:
    """Two runs that go on, with the KV cache of the one, which grows in place."""

    def __init__(self, model: HookedModel, pair: SideBySide, cache: Any = None) -> None:
        self.model, self.pair, self.cache = model, pair, cache

    def step(self, off_first: bool = False, like: SideBySide | None = None) -> None:
        """Take a step in both; `like` is an earlier round, whose tokens are taken again."""
        pair, logits = self.pair, {}
        together = pair.on.token_ids == pair.off.token_ids
        for use_cache in (False, True) if off_first else (True, False):
            run = pair.on if use_cache else pair.off
            choose = None
            if like is not None:
                choose = (like.on if use_cache else like.off).steps[len(pair)].token_id
            timed = _timed_step(self.model, run, self.cache if use_cache else None, choose)
            logits[use_cache] = timed.logits
            longer = replace(run, steps=(*run.steps, timed.step))
            if use_cache:
                self.cache, pair = timed.cache, replace(pair, on=longer)
            else:
                pair = replace(pair, off=longer)
        gap = float(np.abs(logits[True] - logits[False]).max()) if together else None
        self.pair = replace(pair, differences=(*pair.differences, gap))


class _Timed(NamedTuple):
    step: TimedStep
    logits: Float[np.ndarray, "vocab"]
    cache: Any


def _timed_step(model: HookedModel, run: TimedRun, cache: Any, choose: int | None) -> _Timed:
    heads, token_ids = _head_sizes(model), run.token_ids
    if not model.abilities.same_rotation(len(token_ids) - 1, len(token_ids)):
        cache = None  # keys turn otherwise from this length on: everything runs again
    n_cached = 0 if cache is None else len(token_ids) - 1
    kept = rows_kept(cache, len(heads), n_cached)

    started = time.perf_counter()
    logits, cache = _run(model, run, token_ids, n_cached, cache)
    seconds = time.perf_counter() - started

    rows = len(token_ids) - n_cached
    if choose is None:
        last = run.decoding.stages(logits, token_ids, len(run.steps))[-1]
        choose = run.decoding.pick(last, len(run.steps))
    step = TimedStep(
        pos=len(token_ids),
        token_id=choose,
        rows_computed=rows,
        rows_read=max(kept, default=0),
        seconds=seconds,
        flops=model.weight_flops(rows) + _attention_flops(heads, rows, kept),
        cache_bytes=cache_bytes(cache),
        margin=_margin(logits),
    )
    return _Timed(step, logits, cache)


def _run(
    model: HookedModel, run: TimedRun, token_ids: tuple[int, ...], n_cached: int, cache: Any
) -> tuple[Float[np.ndarray, "vocab"], Any]:
    """Run the positions that the cache lacks; only what changes a run has it recorded, too."""
    if not run.interventions:
        return model.run_unrecorded(token_ids, n_cached, cache, run.use_cache)
    new_rows = len(token_ids) - n_cached
    ran = model.run_recorded(token_ids, new_rows, cache, run.use_cache, run.interventions)
    return ran.logits, ran.cache


def _margin(logits: Float[np.ndarray, "vocab"]) -> float:
    if len(logits) < 2:
        return float("nan")
    second, best = np.partition(logits, -2)[-2:]
    return float(best) - float(second)


class HeadSizes(NamedTuple):
    """What attention in one layer multiplies: the query heads and the widths of key and value."""

    n_heads: int
    d_key: int
    d_value: int

    def flops(self, rows: int, n_keys: int) -> int:
        """Return the operations of scores and weighted sums, as `run.flops` counts."""
        return 2 * rows * n_keys * self.n_heads * (self.d_key + self.d_value)


def _attention_flops(heads: tuple[HeadSizes | None, ...], rows: int, kept: list[int]) -> int:
    return sum(
        of_layer.flops(rows, rows + before)
        for of_layer, before in zip(heads, kept, strict=True)
        if of_layer is not None
    )


@once_per_model
def _head_sizes(model: HookedModel) -> tuple[HeadSizes | None, ...]:
    """Read what attention multiplies from a trace of a few tokens; None without attention."""
    trace = model.trace([0] * min(8, model.info.context_size or 8))
    return tuple(_heads_of(layer, model.info) for layer in trace.layers)


def _heads_of(layer: LayerTrace, info: ModelInfo) -> HeadSizes | None:
    if not layer.has_attention:
        return None
    if layer.query is None or layer.value is None:  # unknown: as wide as the stream, as in `flops`
        return HeadSizes(1, info.d_model, info.d_model)
    return HeadSizes(layer.query.shape[0], layer.query.shape[2], layer.value.shape[2])
