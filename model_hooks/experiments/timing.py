"""Write the same text with the KV cache on and off, in turns, and measure what each token takes.

Nothing is recorded, and nothing that other runs kept is used: the first token of every run pays
for the whole prompt. Everything is a value: what is measured so far stays when a run is stopped.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from model_hooks.errors import PromptError
from model_hooks.info import ModelInfo
from model_hooks.model import HookedModel
from model_hooks.run.trace import LayerTrace
from model_hooks.write.caching import cache_bytes, fork
from model_hooks.write.decoding import Decoding

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
class HeadSizes:
    """What attention in one layer multiplies: the query heads and the widths of key and value."""

    n_heads: int
    d_key: int
    d_value: int

    def flops(self, rows: int, n_keys: int) -> int:
        """Return the operations of scores and weighted sums, as `run.flops` counts."""
        return 2 * rows * n_keys * self.n_heads * (self.d_key + self.d_value)


@dataclass(frozen=True, eq=False)
class TimedRun:
    """A text being written with the cache on or off, with a cache of its own."""

    model: HookedModel = field(repr=False)
    prompt_ids: tuple[int, ...]
    decoding: Decoding
    use_cache: bool
    heads: tuple[HeadSizes | None, ...] = field(repr=False)
    """Per layer; None where there is no attention."""
    steps: tuple[TimedStep, ...] = ()
    cache: Any = field(default=None, repr=False)
    """transformers' cache after the newest step; None with the cache off."""
    logits: Float[np.ndarray, "vocab"] | None = field(default=None, repr=False)
    """What the newest token was picked from."""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All token IDs so far, the prompt's first."""
        return self.prompt_ids + tuple(step.token_id for step in self.steps)

    def step(self, choose: int | None = None) -> "TimedRun":
        """Return the run with one more token.

        Args:
            choose: A token ID to take instead of picking one, where it is known already.

        Raises:
            PromptError: The context is full.
        """
        check_room(self.model.info.context_size, len(self.prompt_ids), len(self.steps) + 1)
        token_ids = self.token_ids
        n_cached = 0 if self.cache is None else len(token_ids) - 1
        cache = None if self.cache is None else fork(self.cache)
        kept = _rows_kept(cache, len(self.heads), n_cached)

        started = time.perf_counter()
        logits, cache = self.model.run_unrecorded(token_ids, n_cached, cache, self.use_cache)
        seconds = time.perf_counter() - started

        rows = len(token_ids) - n_cached
        if choose is None:
            last = self.decoding.stages(logits, token_ids)[-1]
            choose = self.decoding.pick(last, len(self.steps))
        second, best = np.partition(logits, -2)[-2:] if len(logits) > 1 else (np.nan, np.nan)
        step = TimedStep(
            pos=len(token_ids),
            token_id=choose,
            rows_computed=rows,
            rows_read=max(kept, default=0),
            seconds=seconds,
            flops=self.model.weight_flops(rows)
            + sum(
                heads.flops(rows, rows + before)
                for heads, before in zip(self.heads, kept, strict=True)
                if heads is not None
            ),
            cache_bytes=cache_bytes(cache),
            margin=float(best) - float(second),
        )
        return replace(self, steps=(*self.steps, step), cache=cache, logits=logits)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """The same prompt written twice, with the cache on and with it off."""

    on: TimedRun
    off: TimedRun
    differences: tuple[float | None, ...] = ()
    """Per step, the largest difference of any logit; None once the texts have parted."""

    def __len__(self) -> int:
        """Number of steps that both have taken."""
        return len(self.differences)

    def step(self, off_first: bool = False, like: "SideBySide | None" = None) -> "SideBySide":
        """Return both runs with one more token.

        Args:
            off_first: Whether the run without the cache goes first.
            like: An earlier round, to take its tokens instead of picking them again.

        Raises:
            PromptError: The context is full.
        """
        together = self.on.token_ids == self.off.token_ids
        done: dict[bool, TimedRun] = {}
        for run in (self.off, self.on) if off_first else (self.on, self.off):
            choose = None
            if like is not None:
                choose = (like.on if run.use_cache else like.off).steps[len(self)].token_id
            done[run.use_cache] = run.step(choose)
        on, off = done[True], done[False]
        difference = float(np.abs(on.logits - off.logits).max()) if together else None
        return SideBySide(on, off, (*self.differences, difference))

    @property
    def largest_difference(self) -> float | None:
        """The largest difference of any logit in any step, as long as the texts were the same."""
        return max((gap for gap in self.differences if gap is not None), default=None)

    @property
    def parted_at(self) -> int | None:
        """The first step, from 0, whose tokens differ; None if all are the same."""
        pairs = zip(self.on.steps, self.off.steps, strict=True)
        return next((i for i, (a, b) in enumerate(pairs) if a.token_id != b.token_id), None)

    def without_cache(self) -> "SideBySide":
        """Return what was measured alone; the run cannot go on from it."""
        on, off = (replace(run, cache=None, logits=None) for run in (self.on, self.off))
        return replace(self, on=on, off=off)


@dataclass(frozen=True, eq=False)
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

    @property
    def decode_ratios(self) -> Float[np.ndarray, "round"]:
        """The same without the first token; empty if there is only one."""
        if self.n_steps < 2:
            return np.array([])
        return self.seconds(False)[:, 1:].sum(1) / self.seconds(True)[:, 1:].sum(1)


def start(
    model: HookedModel, prompt: str | Sequence[int], decoding: Decoding | None = None
) -> SideBySide:
    """Return two runs at their prompt, after a short run that warms the model up.

    Raises:
        PromptError: The prompt cannot be run.
        DecodingError: The options ask for more than the vocabulary has.
    """
    generation = model.start(prompt, decoding)
    heads = _head_sizes(model, generation.prompt_ids)
    on, off = (
        TimedRun(model, generation.prompt_ids, generation.decoding, use_cache, heads)
        for use_cache in (True, False)
    )
    return SideBySide(on, off)


def race(
    model: HookedModel,
    prompt: str | Sequence[int],
    decoding: Decoding | None = None,
    n_tokens: int = 20,
    n_rounds: int = 3,
) -> Iterator[Race]:
    """Write `n_tokens` both ways, `n_rounds` times, and yield what is measured after each token.

    A few untimed tokens warm up first. Then the runs take turns token by token, and who goes first
    alternates, so that a machine that slows down meanwhile slows both. A token that ends the text
    does not end the race.

    Raises:
        PromptError: The prompt cannot be run, or so many tokens do not fit into the context.
        DecodingError: The options ask for more than the vocabulary has.
    """
    fresh = warm = start(model, prompt, decoding)
    check_room(model.info.context_size, len(fresh.on.prompt_ids), n_tokens)
    for _ in range(min(WARM_UP_STEPS, n_tokens)):
        warm = warm.step()
    done: tuple[SideBySide, ...] = ()
    for round_id in range(n_rounds):
        pair = fresh
        for step_id in range(n_tokens):
            off_first = (round_id + step_id) % 2 == 1
            pair = pair.step(off_first, like=done[0] if done else None)
            yield Race((*done, pair))
        done = (*done, pair.without_cache())


def room(context_size: int | None, n_prompt: int) -> int | None:
    """Return how many tokens can be written after a prompt; None without a limit.

    The last token that is written need not run through the model any more.
    """
    return None if context_size is None else max(0, context_size - n_prompt + 1)


def check_room(context_size: int | None, n_prompt: int, n_tokens: int) -> None:
    """Refuse more tokens than the context holds.

    Raises:
        PromptError: They do not fit; the message says how many do.
    """
    most = room(context_size, n_prompt)
    if most is not None and n_tokens > most:
        raise PromptError(
            f"{n_tokens:,} tokens do not fit after {n_prompt:,}: this model reads at most "
            f"{context_size:,}, so it can write at most {most:,} here."
        )


def _head_sizes(model: HookedModel, token_ids: Sequence[int]) -> tuple[HeadSizes | None, ...]:
    """Read what attention multiplies from a trace of the first few tokens."""
    trace = model.trace(token_ids[:8])
    return tuple(_heads_of(layer, model.info) for layer in trace.layers)


def _heads_of(layer: LayerTrace, info: ModelInfo) -> HeadSizes | None:
    if not layer.has_attention:
        return None
    if layer.query is None:  # kept inside: as wide as the residual stream, as in `flops`
        return HeadSizes(1, info.d_model, info.d_model)
    return HeadSizes(layer.query.shape[0], layer.query.shape[2], layer.value.shape[2])


def _rows_kept(cache: Any, n_layers: int, n_cached: int) -> list[int]:
    """Return how many positions each layer can read from the cache.

    A layer without keys of its own reads another layer's, or none: then it counts what the text
    has.
    """
    layers = list(getattr(cache, "layers", []))
    layers += [None] * (n_layers - len(layers))
    keys = [getattr(layer, "keys", None) for layer in layers[:n_layers]]
    return [n_cached if key is None or key.ndim != 4 else key.shape[2] for key in keys]
