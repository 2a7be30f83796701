"""Which decoding options are there, what does each do, and how do they choose a token?

`OPTIONS` is the one table of them: whatever checks, shows, links or explains an option reads its
row. To add one, add its row to the table and its field to `Decoding`. Every stage is computed by
one of transformers' own logits processors, in the order in which `generate()` applies them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, no_type_check

import numpy as np
import torch
from jaxtyping import Float
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model_hooks.errors import DecodingError
from model_hooks.write.options import Number, Option
from model_hooks.write.stages import Stage, rank_of, stage_of

MAX_SEED = 2**63 - 1
MAX_SHOWN_SEED = 2**53 - 1
"""Browsers cannot count further."""
MIN_TEMPERATURE = 1e-6
"""Below it the divided logits overflow float32."""


def _penalty_told(before: Stage, after: Stage, value: Number, token_id: int) -> str:
    old, new = float(before.scores[token_id]), float(after.scores[token_id])
    if old == new:
        return "not in the text yet: the score stays"
    sign = r"\dfrac{%s}{%s}" if old > 0 else r"%s \times %s"
    return f"already in the text: ${sign % (f'{old:.4f}', f'{value:g}')} = {new:.4f}$"


def _temperature_told(before: Stage, after: Stage, value: Number, token_id: int) -> str:
    old, new = float(before.scores[token_id]), float(after.scores[token_id])
    return rf"$\dfrac{{z}}{{T}} = \dfrac{{{old:.4f}}}{{{value:g}}} = {new:.4f}$"


def _top_k_told(before: Stage, after: Stage, value: Number, token_id: int) -> str:
    rank = rank_of(before.scores, token_id)
    sign = r"\le" if rank <= value else ">"
    return rf"rank ${rank} {sign} k = {value}$"


def _top_p_told(before: Stage, after: Stage, value: Number, token_id: int) -> str:
    ahead = float(before.probabilities[before.scores > before.scores[token_id]].sum())
    sign = "<" if ahead < value else r"\ge"
    return rf"the more probable ones add up to ${ahead:.4f} {sign} p = {value:g}$"


def _min_p_told(before: Stage, after: Stage, value: Number, token_id: int) -> str:
    own, best = float(before.probabilities[token_id]), float(before.probabilities.max())
    sign = r"\ge" if own >= value * best else "<"
    return rf"${own:.4f} {sign} {value:g} \times {best:.4f} = {value * best:.4f}$"


OPTIONS: tuple[Option, ...] = (
    Option(
        "temperature",
        "Temperature",
        "Divides the logits. Below 1 the favourites win more often; above 1 the choice becomes "
        "more random.",
        kind="real",
        low=0.1,
        high=2.0,
        step=0.05,
        off=1.0,
        allows=lambda value: MIN_TEMPERATURE <= value < math.inf,
        must="must be above 0, not {value}; for its limit at 0 choose greedy decoding.",
        processor=lambda value: TemperatureLogitsWarper(float(value)),
        tells=_temperature_told,
    ),
    Option(
        "top_k",
        "Top-k",
        "Keep only the k most probable tokens. 0 keeps all.",
        kind="whole",
        low=0,
        high=None,
        step=1,
        off=0,
        allows=lambda value: value >= 1,
        must="must be a whole number from 1, not {value}.",
        optional=True,
        processor=lambda value: TopKLogitsWarper(int(value)),
        tells=_top_k_told,
        removes="Top-k keeps only the {value} most probable tokens.",
    ),
    Option(
        "top_p",
        "Top-p",
        "Keep the smallest set of tokens whose probabilities sum to at least p. 1 keeps all.",
        kind="real",
        low=0.05,
        high=1.0,
        step=0.05,
        off=1.0,
        allows=lambda value: 0 < value <= 1,
        must="must be above 0 and at most 1, not {value}.",
        optional=True,
        processor=lambda value: TopPLogitsWarper(float(value)),
        tells=_top_p_told,
        removes="Top-p stops as soon as the more probable tokens add up to {value}.",
    ),
    Option(
        "min_p",
        "Min-p",
        "Keep tokens at least this fraction as probable as the best one. 0 keeps all.",
        kind="real",
        low=0.0,
        high=1.0,
        step=0.01,
        off=0.0,
        allows=lambda value: 0 <= value <= 1,
        must="must lie between 0 and 1, not {value}.",
        optional=True,
        processor=lambda value: MinPLogitsWarper(float(value)),
        tells=_min_p_told,
        removes="Min-p keeps only tokens at least {value} times as probable as the best one.",
    ),
    Option(
        "repetition_penalty",
        "Repetition penalty",
        "Makes tokens that are already in the text less likely. 1 leaves them alone.",
        kind="real",
        low=1.0,
        high=2.0,
        step=0.05,
        off=1.0,
        allows=lambda value: 0 < value < math.inf,
        must="must be above 0, not {value}.",
        sampling_only=False,
        processor=lambda value: RepetitionPenaltyLogitsProcessor(float(value)),
        tells=_penalty_told,
    ),
    Option(
        "seed",
        "Seed",
        "The same seed draws the same tokens again.",
        kind="whole",
        low=0,
        high=MAX_SHOWN_SEED,
        step=1,
        off=None,
        allows=lambda value: 0 <= value <= MAX_SEED,
        must="must be a whole number from 0, not {value}.",
    ),
)
"""In the order of their controls. `generate()` takes those that greedy decoding has, too, first,
then the others, each group in this order."""

STAGES: tuple[Option, ...] = tuple(
    option
    for sampling_only in (False, True)
    for option in OPTIONS
    if option.processor is not None and option.sampling_only is sampling_only
)
"""Those that make a stage of their own, in the order in which `generate()` applies them."""


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
        for option in OPTIONS:
            checked = option.checked(getattr(self, option.name))
            object.__setattr__(self, option.name, checked)

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse what the vocabulary cannot fill, such as a larger top_k.

        Raises:
            DecodingError: An option exceeds the vocabulary.
        """
        for option in OPTIONS:
            value = getattr(self, option.name)
            if option.high is None and value is not None and value > vocab_size:
                raise DecodingError(
                    f"{option.name} is {value}, but the vocabulary has only {vocab_size} tokens."
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
        ids: Any = torch.tensor(np.asarray(prefix_ids).tolist(), dtype=torch.long)[None]
        scores = torch.tensor(np.asarray(logits, dtype=np.float32))[None]
        stages = [stage_of("raw", scores)]
        for name, processor in self.processors():
            scores = processor(ids, scores)
            stages.append(stage_of(name, scores))
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

    def active(self) -> tuple[tuple[Option, Number], ...]:
        """Return the options that make a stage, each with its value, in `generate()`'s order."""
        return tuple(
            (option, value)
            for option in STAGES
            if option.is_on(value := getattr(self, option.name))
            and not (option.sampling_only and self.strategy == "greedy")
        )

    def filters(self) -> tuple[tuple[Option, Number], ...]:
        """Return those of the active options that remove tokens, each with its value."""
        return tuple((option, value) for option, value in self.active() if option.is_filter)

    def without_filters(self) -> "Decoding":
        """Return the same options, but for those that remove tokens."""
        defaults = {field.name: field.default for field in fields(self)}
        return replace(self, **{o.name: defaults[o.name] for o in OPTIONS if o.is_filter})

    def processors(self) -> list[tuple[str, LogitsProcessor]]:
        """Return the processors that `generate()` builds for these options, in its order."""
        return [
            (option.name, option.processor(value))
            for option, value in self.active()
            if option.processor is not None
        ]


# The mark would hide the types of the fields, which links are read by.
del Decoding.__no_type_check__  # pyright: ignore[reportAttributeAccessIssue]


def option_of(name: str) -> Option:
    """Return an option by its name, which is also its stage's."""
    return next(option for option in OPTIONS if option.name == name)


def way_through(stages: Sequence[Stage], decoding: Decoding, token_id: int) -> tuple[str, ...]:
    """Tell how one token fared in each stage after the raw one, up to the one that removed it.

    Returns:
        One line of Markdown per stage, with the token's numbers from the stage before.
    """
    lines, before = [], stages[0]
    for after in stages[1:]:
        if before.removed[token_id]:
            break
        value = getattr(decoding, after.name)
        lines.append(option_of(after.name).way_of(before, after, value, token_id))
        before = after
    return tuple(lines)
