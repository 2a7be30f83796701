"""What is the distribution of the next token after one stage of decoding?"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_hooks.arrays import check_array, softmax
from model_hooks.errors import DecodingError
from model_hooks.text.pieces import plain_ids


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


def scores_of(logits: Any) -> Float[Tensor, "1 vocab"]:
    """Return logits as scores; minus infinity is a token that the family rules out.

    Raises:
        DecodingError: No token can be picked by them.
    """
    scores = torch.tensor(check_array("logits", logits, 1, DecodingError)).to(torch.float32)
    if len(scores) == 0 or not bool(torch.isfinite(scores.max())):
        raise DecodingError("Among these logits is one that is no number, or there is none.")
    return scores[None]


def ids_of(prefix_ids: Any, n_scores: int | None) -> Int[Tensor, "1 pos"]:
    """Return the token IDs so far.

    Args:
        prefix_ids: Any sequence of them.
        n_scores: How many scores there are to look one up for each; None where nobody does.

    Raises:
        DecodingError: One is no token ID.
    """
    ids = plain_ids(prefix_ids)
    count = 2**31 if n_scores is None else n_scores
    if wrong := [token_id for token_id in ids if not 0 <= token_id < count]:
        raise DecodingError(
            f"Token ID {wrong[0]} is out of range: there are scores from 0 to {count - 1}."
        )
    return torch.tensor([ids], dtype=torch.long)


def rank_of(scores: Float[np.ndarray, "vocab"], token_id: int) -> int:
    """Return a token's place among the scores: 1 is the best; equal ones share a place."""
    return int((scores > scores[token_id]).sum()) + 1
