"""Decoding: how one token is chosen from the logits, stage by stage.

Every stage is computed by one of transformers' own logits processors, in the order in which
`generate()` applies them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, no_type_check

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model_hooks.errors import DecodingError

MAX_SEED = 2**63 - 1
MIN_TEMPERATURE = 1e-6
"""Below it the divided logits overflow float32."""


@dataclass(frozen=True, eq=False)
class Stage:
    """The distribution over the whole vocabulary after one stage."""

    name: str
    """`raw`, `repetition_penalty`, `temperature`, `top_k`, `top_p` or `min_p`."""
    scores: Float[np.ndarray, "vocab"]
    """Logits after this stage; minus infinity where a filter removed the token."""

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "vocab"]:
        """Softmax of the scores over the whole vocabulary, in float64; sums to one."""
        probabilities = torch.softmax(torch.tensor(self.scores, dtype=torch.float64), -1).numpy()
        probabilities.setflags(write=False)
        return probabilities

    @property
    def removed(self) -> Bool[np.ndarray, "vocab"]:
        """True for the tokens that this stage or an earlier one filtered out."""
        return np.isneginf(self.scores)

    @cached_property
    def entropy_bits(self) -> float:
        """Entropy of the distribution in bits (Shannon 1948): how undecided it is."""
        positive = self.probabilities[self.probabilities > 0]
        return float(-(positive * np.log2(positive)).sum())


@no_type_check  # it checks itself, with a sentence for the user
@dataclass(frozen=True)
class Decoding:
    """How the next token is picked; checked when it is made.

    Args:
        strategy: `greedy` takes the most probable token; `sample` draws one.
        temperature: Divides the logits before the softmax (sampling only).
        top_k: Keep only the k most probable tokens (sampling only).
        top_p: Keep the smallest set of tokens whose probabilities sum to at least p
            (nucleus sampling, Holtzman et al. 2020; sampling only).
        min_p: Keep tokens at least this fraction as probable as the best one (sampling only).
        repetition_penalty: Divides positive and multiplies negative logits of tokens already in
            the text (Keskar et al. 2019, section 4.1); 1 leaves them alone.
        seed: Makes sampling repeat exactly.

    Raises:
        DecodingError: An option is out of its range; the message says which and why.
    """

    strategy: Literal["greedy", "sample"] = "greedy"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in ("greedy", "sample"):
            raise DecodingError(f"strategy must be 'greedy' or 'sample', not {self.strategy!r}.")
        if not _is_number(self.temperature) or not MIN_TEMPERATURE <= self.temperature < math.inf:
            raise DecodingError(
                f"temperature must be above 0, not {self.temperature!r}; "
                "for its limit at 0 choose greedy decoding."
            )
        if self.top_k is not None and (not _is_integer(self.top_k) or self.top_k < 1):
            raise DecodingError(f"top_k must be a whole number from 1, not {self.top_k!r}.")
        if self.top_p is not None and (not _is_number(self.top_p) or not 0 < self.top_p <= 1):
            raise DecodingError(f"top_p must be above 0 and at most 1, not {self.top_p!r}.")
        if self.min_p is not None and (not _is_number(self.min_p) or not 0 <= self.min_p <= 1):
            raise DecodingError(f"min_p must lie between 0 and 1, not {self.min_p!r}.")
        penalty = self.repetition_penalty
        if not _is_number(penalty) or not 0 < penalty < math.inf:
            raise DecodingError(f"repetition_penalty must be above 0, not {penalty!r}.")
        if not _is_integer(self.seed) or not 0 <= self.seed <= MAX_SEED:
            raise DecodingError(f"seed must be a whole number from 0, not {self.seed!r}.")

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a top_k that the vocabulary cannot fill.

        Raises:
            DecodingError: top_k exceeds the vocabulary.
        """
        if self.top_k is not None and self.top_k > vocab_size:
            raise DecodingError(
                f"top_k is {self.top_k}, but the vocabulary has only {vocab_size} tokens."
            )

    def stages(
        self, logits: Float[np.ndarray, "vocab"], prefix_ids: Sequence[int] | np.ndarray
    ) -> tuple[Stage, ...]:
        """Return the distribution after each stage that these options switch on.

        The first stage is always `raw`, the last is the one a token is picked from.

        Args:
            logits: The model's logits after the last position.
            prefix_ids: The token IDs so far; the repetition penalty looks at them.

        Raises:
            DecodingError: top_k exceeds the vocabulary.
        """
        self.check_vocabulary(len(logits))
        ids = torch.tensor(np.asarray(prefix_ids).tolist(), dtype=torch.long)[None]
        scores = torch.tensor(np.asarray(logits, dtype=np.float32))[None]
        stages = [_stage("raw", scores)]
        for name, processor in self.processors():
            scores = processor(ids, scores)
            stages.append(_stage(name, scores))
        return tuple(stages)

    def pick(self, stage: Stage, step_id: int) -> int:
        """Pick a token ID from the last stage's distribution.

        Each step draws from a random generator of its own, made of the seed and the step, so
        that going back and stepping again gives the same token.
        """
        if self.strategy == "greedy":
            return int(stage.scores.argmax())
        entropy = np.random.SeedSequence([self.seed, step_id]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> np.uint64(1)))
        probabilities = torch.tensor(stage.probabilities)
        return int(torch.multinomial(probabilities, 1, generator=generator))

    def processors(self) -> list[tuple[str, LogitsProcessor]]:
        """Return the processors that `generate()` builds for these options, in its order."""
        processors: list[tuple[str, LogitsProcessor]] = []
        if self.repetition_penalty != 1.0:
            penalty = RepetitionPenaltyLogitsProcessor(float(self.repetition_penalty))
            processors.append(("repetition_penalty", penalty))
        if self.strategy == "greedy":
            return processors
        if self.temperature != 1.0:
            processors.append(("temperature", TemperatureLogitsWarper(float(self.temperature))))
        if self.top_k is not None:
            processors.append(("top_k", TopKLogitsWarper(int(self.top_k))))
        if self.top_p is not None and self.top_p < 1:
            processors.append(("top_p", TopPLogitsWarper(float(self.top_p))))
        if self.min_p:
            processors.append(("min_p", MinPLogitsWarper(float(self.min_p))))
        return processors


def _stage(name: str, scores: Tensor) -> Stage:
    array = scores[0].numpy()
    array.setflags(write=False)
    return Stage(name, array)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
