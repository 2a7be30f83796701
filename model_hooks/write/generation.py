"""Generation: one token at a time, as immutable values that can go back and branch."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from jaxtyping import Float

from model_hooks.errors import DecodingError
from model_hooks.run.interventions import Intervention
from model_hooks.run.trace import Segment, Trace, build_trace, last_attention
from model_hooks.write.decoding import Decoding, Stage

if TYPE_CHECKING:
    from model_hooks.model import HookedModel

Value = TypeVar("Value")


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


@dataclass(frozen=True, eq=False)
class Step:
    """One generated token, the distribution it came from and what that took."""

    token_id: int
    token: str
    forward: Forward = field(repr=False)
    """The run that gave the logits."""
    decoding: Decoding
    reused: bool
    """Whether that run was still kept, so that nothing ran: after going back or looking."""
    forced: bool
    """Whether the caller chose the token."""

    @property
    def pos(self) -> int:
        """Its position in the text: the number of tokens before it."""
        return len(self.forward.token_ids)

    @property
    def logits(self) -> Float[np.ndarray, "vocab"]:
        """What it was picked from, before any stage."""
        return self.forward.logits

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The distribution after each decoding stage."""
        return self.decoding.stages(self.logits, self.forward.token_ids)

    @property
    def probability(self) -> float:
        """After all decoding stages; 0 if a filter removed the token and it was forced."""
        return float(self.stages[-1].probabilities[self.token_id])

    @property
    def raw_probability(self) -> float:
        """Softmax of the logits, before any stage."""
        return float(self.stages[0].probabilities[self.token_id])

    @property
    def rank(self) -> int:
        """Place among the logits: 1 is the most probable token of the vocabulary."""
        return int((self.logits > self.logits[self.token_id]).sum()) + 1

    @property
    def entropy_bits(self) -> float:
        """Entropy of the raw distribution, in bits: how undecided the model was."""
        return self.stages[0].entropy_bits

    @property
    def rows_computed(self) -> int:
        """Positions run through the blocks for these logits: 1 with the cache, all without."""
        return self.forward.rows_computed

    @property
    def flops(self) -> int:
        """Floating-point operations of that run, from the recorded shapes."""
        return self.forward.flops

    @property
    def seconds(self) -> float:
        """Time that run took."""
        return self.forward.seconds

    @property
    def cache_bytes(self) -> int:
        """Bytes of keys and values held after it; 0 without the cache."""
        return self.forward.cache_bytes

    @property
    def prefill(self) -> bool:
        """Whether that run computed the prompt (prefill) rather than one new token (decode)."""
        return self.forward.prefill


@dataclass(frozen=True, eq=False)
class Generation:
    """A text being written: the prompt, how tokens are picked and the steps so far.

    A value: `model.step` makes a longer one, `back` and `rewind` give earlier ones, and every one
    of them stays usable, so a branch is nothing but another step from an earlier value.
    """

    model: "HookedModel" = field(repr=False)
    prompt_ids: tuple[int, ...]
    decoding: Decoding
    use_cache: bool
    interventions: tuple[Intervention, ...] = ()
    """What is switched off in every run of this text."""
    steps: tuple[Step, ...] = ()

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All token IDs so far, the prompt's first."""
        return self.prompt_ids + tuple(step.token_id for step in self.steps)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The same for people."""
        return self.model.token_strings(self.token_ids)

    @property
    def text(self) -> str:
        """The generated text, without the prompt."""
        return self.model.decode([step.token_id for step in self.steps])

    @property
    def finished(self) -> bool:
        """Whether the last token is the one that ends a text."""
        return bool(self.steps) and self.steps[-1].token_id in self.model.eos_token_ids

    @property
    def is_full(self) -> bool:
        """Whether the context has no room to run another position."""
        size = self.model.info.context_size
        return size is not None and len(self.token_ids) > size

    def back(self) -> "Generation":
        """Return the value one step earlier.

        Raises:
            DecodingError: No step was taken yet.
        """
        return self.rewind(1)

    def rewind(self, n: int) -> "Generation":
        """Return the value `n` steps earlier; nothing is computed.

        Raises:
            DecodingError: Fewer than `n` steps were taken.
        """
        if not 0 <= n <= len(self.steps):
            raise DecodingError(
                f"Cannot go back {n} steps: this text has {len(self.steps)} generated tokens."
            )
        return replace(self, steps=self.steps[: len(self.steps) - n])

    def with_decoding(self, decoding: Decoding) -> "Generation":
        """Return the same text, going on with other decoding options.

        Raises:
            DecodingError: The options ask for more than the vocabulary has.
        """
        decoding.check_vocabulary(self.model.info.vocab_size)
        return replace(self, decoding=decoding)

    def with_cache(self, use_cache: bool) -> "Generation":
        """Return the same text, going on with the KV cache on or off."""
        return replace(self, use_cache=use_cache)

    def next_logits(self) -> Float[np.ndarray, "vocab"]:
        """Return the logits the next step will pick from; that step then runs nothing.

        Raises:
            PromptTooLongError: The context is full.
        """
        return self.model.forward_of(self)[0].logits

    def next_stages(self) -> tuple[Stage, ...]:
        """Return the distribution of the next token after each decoding stage."""
        return self.decoding.stages(self.next_logits(), self.token_ids)

    def trace(self) -> Trace:
        """Return one trace of all positions so far, as if the text had been a prompt.

        The last token was not run yet when it was picked: its position is computed now, once,
        and the next step uses the result.

        Raises:
            PromptTooLongError: The context is full.
        """
        forward, _ = self.model.forward_of(self)
        return build_trace(forward.segments, self.tokens, forward.logits)


class BoundedStore(Generic[Value]):
    """The most recently used values, up to a number of bytes; losing one only costs time.

    Safe to use from many threads. The newest value stays even if it alone is over the limit.
    """

    def __init__(self, max_bytes: int, nbytes: Callable[[Value], int]) -> None:
        self._max_bytes, self._nbytes = max_bytes, nbytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()
        self._held = 0

    def __len__(self) -> int:
        """Number of values kept."""
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return a value and mark it as used, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value, dropping the least recently used ones over the limit."""
        with self._lock:
            if key in self._values:
                self._held -= self._nbytes(self._values.pop(key))
            self._values[key] = value
            self._held += self._nbytes(value)
            while self._held > self._max_bytes and len(self._values) > 1:
                self._held -= self._nbytes(self._values.popitem(last=False)[1])

    def items(self) -> list[tuple[Hashable, Value]]:
        """Return what is kept now, the most recently used first."""
        with self._lock:
            return list(reversed(self._values.items()))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self._held = 0
