"""How is one decoding option set, what is allowed, what does it do, and how is that told?

The options themselves are the rows of `OPTIONS` in `decoding.py`.
"""

import reprlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from transformers import LogitsProcessor

from model_hooks.errors import DecodingError
from model_hooks.write.stages import Stage

Number = int | float
Told = Callable[[Stage, Stage, Number, int], str]
"""What a stage did to one token: the stage before, the stage, the option's value, the token ID."""


@dataclass(frozen=True)
class Option:
    """One decoding option: how it is set, what is allowed, what it does and how that is told."""

    name: str
    """Of the field of `Decoding`, and of the stage."""
    label: str
    """For people, at the beginning of a line."""
    help: str
    """What it does, in a sentence or two."""
    kind: Literal["whole", "real"]
    low: Number
    """A control's range; values outside may be allowed."""
    high: Number | None
    """None: the size of the vocabulary, which no value may exceed."""
    step: Number
    off: Number | None
    """The value with which it changes nothing, and which a control shows for None; None: it is
    always on."""
    allows: Callable[[Number], bool]
    """Whether a number of its kind is in range."""
    must: str
    """The same as a phrase, with `{value}` for what was given instead."""
    optional: bool = False
    """Whether None, its default, switches it off."""
    sampling_only: bool = True
    """Whether greedy decoding ignores it."""
    processor: Callable[[Number], LogitsProcessor] | None = None
    """Makes the logits processor of its stage; None: it has none."""
    tells: Told | None = None
    """Writes what its stage did to one token, with the token's numbers, as Markdown."""
    removes: str = ""
    """Why its stage removed a token, with `{value}`; empty: it removes none."""

    @property
    def noun(self) -> str:
        """The label for the middle of a sentence."""
        return self.label[0].lower() + self.label[1:]

    @property
    def is_filter(self) -> bool:
        """Whether its stage removes tokens; others only change scores."""
        return bool(self.removes)

    def highest(self, vocab_size: int) -> Number:
        """Return the end of a control's range for a model."""
        return vocab_size if self.high is None else self.high

    def shown(self, value: Number | None, vocab_size: int) -> Number:
        """Return what a control shows for a value: the nearest that it can show."""
        if value is None:
            value = self.low if self.off is None else self.off
        return max(self.low, min(value, self.highest(vocab_size)))

    def read(self, shown: Number) -> Number | None:
        """Return the value that a control shows."""
        return None if self.optional and shown == self.off else shown

    def is_on(self, value: Number | None) -> bool:
        """Whether a value changes anything."""
        return value is not None and value != self.off

    def setting(self, value: Number) -> str:
        """Name the option with a value: `top-k 5`."""
        return f"{self.noun} {value:g}"

    def why_removed(self, value: Number) -> str:
        """Say in a sentence why its stage removed a token."""
        return self.removes.format(value=f"{value:g}")

    def way_of(self, before: Stage, after: Stage, value: Number, token_id: int) -> str:
        """Tell what its stage did to one token, with the token's own numbers, as Markdown."""
        told = "" if self.tells is None else f" {self.tells(before, after, value, token_id)}"
        verdict = ": **removed**" if after.removed[token_id] else ": stays"
        return f"**{self.label}**{told}{verdict if self.is_filter else ''}"

    def checked(self, value: Any) -> Number | None:
        """Return a value as a plain number.

        Raises:
            DecodingError: It is no number of the option's kind, or out of range.
        """
        if value is None and self.optional:
            return None
        plain: Any = value.item() if isinstance(value, np.generic) else value
        kinds = int if self.kind == "whole" else (int, float)
        is_number = isinstance(plain, kinds) and not isinstance(plain, bool)
        if not is_number or abs(plain) > sys.float_info.max or not self.allows(plain):
            raise DecodingError(f"{self.name} {self.must.format(value=reprlib.repr(value))}")
        return plain
