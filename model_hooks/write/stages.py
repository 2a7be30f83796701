"""What is the distribution of the next token after one stage of decoding?"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from model_hooks.arrays import softmax


@dataclass(frozen=True, eq=False)
class Stage:
    """The distribution over the whole vocabulary after one stage."""

    name: str
    """`raw`, or the option that made it: `repetition_penalty`, `temperature`, `top_k`..."""
    scores: Float[np.ndarray, "vocab"]
    """Logits after this stage; minus infinity where a filter removed the token."""

    @property
    def probabilities(self) -> Float[np.ndarray, "vocab"]:
        """Softmax of the scores over the whole vocabulary, in float64; sums to one."""
        return self._probabilities

    @cached_property
    def _probabilities(self) -> Float[np.ndarray, "vocab"]:
        # Apart: to a type checker, a cached property does not count as one of a protocol.
        return softmax(self.scores)

    @property
    def removed(self) -> Bool[np.ndarray, "vocab"]:
        """True for the tokens that this stage or an earlier one filtered out."""
        return np.isneginf(self.scores)

    @cached_property
    def entropy_bits(self) -> float:
        """Entropy of the distribution in bits (Shannon 1948): how undecided it is."""
        positive = self.probabilities[self.probabilities > 0]
        return float(-(positive * np.log2(positive)).sum())


def stage_of(name: str, scores: Tensor) -> Stage:
    """Return a stage of scores [1, vocab]."""
    array = scores[0].numpy()
    array.setflags(write=False)
    return Stage(name, array)


def rank_of(scores: Float[np.ndarray, "vocab"], token_id: int) -> int:
    """Return a token's place among the scores: 1 is the best; equal ones share a place."""
    return int((scores > scores[token_id]).sum()) + 1
