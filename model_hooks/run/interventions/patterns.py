"""What would a model lose if each token read only some of the earlier ones?"""

from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from model_hooks.errors import InterventionError
from model_hooks.run.interventions.base import (
    Effects,
    Intervention,
    check_sizes,
    freeze_layers,
    in_layers,
)
from model_hooks.run.masks import NarrowedMask

PatternKind = Literal["full", "window", "window_first", "strided", "block"]
Positions = TypeVar("Positions", np.ndarray, Tensor)


@dataclass(frozen=True)
class AttentionPattern(Intervention, name="attention_pattern"):
    """Let each position read only some of the earlier ones: local or sparse attention.

    A query i may read a key j <= i where

    - `full`: always;
    - `window`: i - j < window (sliding window; Beltagy et al. 2020, "Longformer", section 3.1);
    - `window_first`: i - j < window or j < n_first (attention sinks; Xiao et al. 2023, "Efficient
      Streaming Language Models with Attention Sinks", section 3.2);
    - `strided`: i - j < window or (i - j) mod stride = 0 (Child et al. 2019, "Generating Long
      Sequences with Sparse Transformers", section 4.3, both of its heads' keys in one);
    - `block`: i and j lie in the same block of `window` positions.

    It only takes away: what the model's own mask forbids stays forbidden. Positions keep their
    numbers, so position encodings do not change.

    Raises:
        InterventionError: A size is out of its range.
    """

    kind: PatternKind
    window: int = 1
    """Positions in a window, the query's own included; in a block, its length."""
    n_first: int = 0
    stride: int = 1
    layers: tuple[int, ...] | None = None
    """None is every layer that has attention."""

    def __post_init__(self) -> None:
        super().__post_init__()
        freeze_layers(self)
        check_sizes(self, "window", "n_first", "stride")
        if not isinstance(self.kind, str) or self.kind not in get_args(PatternKind):
            raise InterventionError(
                f"There is no attention pattern {self.kind!r}: choose one of "
                f"{', '.join(get_args(PatternKind))}."
            )
        if self.kind != "full" and self.window < 1:
            raise InterventionError(
                f"With a window of {self.window}, a token could not even read itself: "
                "choose 1 or more."
            )
        if self.kind == "window_first" and self.n_first < 0:
            raise InterventionError(
                f"{self.n_first} first tokens cannot be kept: choose 0 or more."
            )
        if self.kind == "strided" and self.stride < 1:
            raise InterventionError(f"A stride of {self.stride} leads nowhere: choose 1 or more.")

    @property
    def acting_layers(self) -> tuple[int, ...] | None:
        """Those named, or all that have attention."""
        return self.layers

    def effects(self) -> Effects:
        """Return the mask without what the pattern takes away."""
        return {"mask": self._narrow}

    def describe(self) -> str:
        """Say what a token still reads."""
        read = {
            "full": "every earlier token",
            "window": f"the last {self.window}",
            "window_first": f"the last {self.window} and the first {self.n_first}",
            "strided": f"the last {self.window} and every {self.stride} positions back",
            "block": f"its own block of {self.window}",
        }[self.kind]
        return f"each token reads only {read}{in_layers(self.layers)}"

    def lets_read(self, query: Positions, key: Positions) -> Positions:
        """Return which keys each query may read, as booleans.

        Args:
            query: Positions of queries, such as [query, 1].
            key: Positions of keys, such as [1, key].
        """
        near = query - key < self.window
        allowed = {
            "full": lambda: key == key,
            "window": lambda: near,
            "window_first": lambda: near | (key < self.n_first),
            "strided": lambda: near | ((query - key) % self.stride == 0),
            "block": lambda: query // self.window == key // self.window,
        }[self.kind]()
        return (key <= query) & allowed

    def readable(self, n_positions: int) -> Bool[np.ndarray, "pos pos"]:
        """Return which keys (columns) each query (row) of a text may read."""
        positions = np.arange(n_positions)
        return self.lets_read(positions[:, None], positions)

    def n_cached(self, n_positions: int, own_window: int | None = None) -> int:
        """Return how many of the first `n_positions` keys any later query may read.

        Args:
            n_positions: Length of the text so far.
            own_window: The layer's own sliding window, if it has one.
        """
        n_later = self.stride if self.kind == "strided" else 1  # in the others, the next reads most
        later = np.arange(n_positions, n_positions + n_later)[:, None]
        keys = np.arange(n_positions)
        readable = self.lets_read(later, keys)
        if own_window is not None:
            readable = readable & (later - keys < own_window)
        return int(readable.any(0).sum())

    def _narrow(self, mask: NarrowedMask) -> None:
        if not mask.one_key_each:
            raise InterventionError(
                "This model's keys are not one per token, so no pattern of tokens can be laid over "
                "its attention."
            )
        mask.keep(self.lets_read(mask.queries, mask.keys))
