"""How is a text written, one token at a time, as immutable values that can go back and branch?"""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from model_hooks.arrays import as_whole, check_switch
from model_hooks.errors import DecodingError
from model_hooks.info import ModelInfo
from model_hooks.run.interventions import Intervention
from model_hooks.run.segment import Segment
from model_hooks.run.trace import Trace, build_trace
from model_hooks.text.tokens import TokenText
from model_hooks.write.decoding import Decoding, as_decoding
from model_hooks.write.forwards import Forward, Variant
from model_hooks.write.room import room
from model_hooks.write.stages import Stage, rank_of

N_BEFORE = 16
"""Tokens before a new one that may change what it adds to the text: a character has fewer."""


@runtime_checkable
class Writer(Protocol):
    """What writes: a model, seen from here."""

    info: ModelInfo
    text: TokenText

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """The token IDs that end a text."""
        ...

    def token_strings(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one string per token ID, for display."""
        ...

    def decode_after(self, before: Sequence[int], token_ids: Sequence[int]) -> str:
        """Return what token IDs add to the text of those before them."""
        ...

    def check_token_ids(self, token_ids: Sequence) -> None:
        """Refuse what is no token ID of the model."""
        ...

    def start(
        self,
        prompt: str | Sequence | np.ndarray,
        decoding: Decoding | None = None,
        use_cache: bool = True,
        interventions: Sequence[Intervention] = (),
    ) -> "Generation":
        """Return a generation at its prompt; nothing runs before the first step."""
        ...

    def forward_of(self, generation: "Generation") -> tuple[Forward, bool]:
        """Return the run that a generation's next step picks from, and whether it was kept."""
        ...

    def forward_after(
        self,
        token_ids: tuple[int, ...],
        n_prompt: int,
        variant: Variant,
        segments: tuple[Segment, ...] | None = None,
    ) -> tuple[Forward, bool]:
        """Return the run that predicts the token after a text, and whether it was still kept."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """One generated token, the distribution it came from and what that took."""

    token_id: int
    token: str
    """What it adds to the text, for people."""
    forward: Forward = field(repr=False)
    """The run that gave the logits."""
    decoding: Decoding
    reused: bool
    """Whether that run was still kept, so that nothing ran: after going back or looking."""
    forced: bool
    """Whether the caller chose the token."""
    n_before: int
    """How many tokens were written before it."""

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
        return self.decoding.stages(self.logits, self.forward.token_ids, self.n_before)

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
        return rank_of(self.logits, self.token_id)

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


def take_step(
    writer: Writer,
    forward: Forward,
    reused: bool,
    decoding: Decoding,
    step_id: int,
    choose: int | None = None,
) -> Step:
    """Pick a token from a run, or take the one that the caller chose.

    Args:
        writer: The model that ran.
        forward: The run that predicts the token.
        reused: Whether that run was still kept.
        decoding: How it is picked.
        step_id: How many tokens were written before it: each step draws for itself.
        choose: A token ID to take instead.
    """
    if (token_id := choose) is None:
        last = decoding.stages(forward.logits, forward.token_ids, step_id)[-1]
        token_id = decoding.pick(last, step_id)
    return Step(
        token_id=token_id,
        token=writer.token_strings([*forward.token_ids[-N_BEFORE:], token_id])[-1],
        forward=forward,
        decoding=decoding,
        reused=reused,
        forced=choose is not None,
        n_before=step_id,
    )


@dataclass(frozen=True, eq=False)
class Generation:
    """A text being written: the prompt, how tokens are picked and the steps so far.

    A value: `model.step` makes a longer one, `back` and `rewind` give earlier ones, and every one
    of them stays usable, so a branch is nothing but another step from an earlier value.
    """

    model: Writer = field(repr=False)
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
        """The generated text: what it adds to that of the prompt."""
        return self.model.decode_after(self.prompt_ids, [step.token_id for step in self.steps])

    @property
    def finished(self) -> bool:
        """Whether the last token is the one that ends a text."""
        return bool(self.steps) and self.steps[-1].token_id in self.model.eos_token_ids

    @property
    def is_full(self) -> bool:
        """Whether the context has no room to run another position."""
        return room(self.model.info.context_size, len(self.token_ids)) == 0

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
        n_back = as_whole(n)
        if n_back is None or not 0 <= n_back <= len(self.steps):
            raise DecodingError(
                f"Cannot go back {reprlib.repr(n)} steps: this text has {len(self.steps)} "
                "generated tokens."
            )
        return replace(self, steps=self.steps[: len(self.steps) - n_back])

    def with_decoding(self, decoding: Decoding) -> "Generation":
        """Return the same text, going on with other decoding options.

        Raises:
            DecodingError: The options ask for more than the vocabulary has.
        """
        as_decoding(decoding).check_vocabulary(self.model.info.vocab_size)
        return replace(self, decoding=decoding)

    def with_cache(self, use_cache: bool) -> "Generation":
        """Return the same text, going on with the KV cache on or off.

        Raises:
            DecodingError: That says neither.
        """
        return replace(self, use_cache=check_switch("use_cache", use_cache, DecodingError))

    def next_logits(self) -> Float[np.ndarray, "vocab"]:
        """Return the logits the next step will pick from; that step then runs nothing.

        Raises:
            PromptError: The context is full.
        """
        return self.model.forward_of(self)[0].logits

    def next_stages(self) -> tuple[Stage, ...]:
        """Return the distribution of the next token after each decoding stage.

        Raises:
            PromptError: The context is full.
        """
        return self.decoding.stages(self.next_logits(), self.token_ids, len(self.steps))

    def trace(self) -> Trace:
        """Return one trace of all positions so far, as if the text had been a prompt.

        The last token was not run yet when it was picked: its position is computed now, once,
        and the next step uses the result.

        Raises:
            PromptError: The context is full.
        """
        forward, _ = self.model.forward_of(self)
        say = self.model.text.each
        return build_trace(forward.segments, self.tokens, forward.logits, self.interventions, say)
