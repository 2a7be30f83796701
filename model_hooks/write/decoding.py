"""Which decoding options are there, what does each do, and how do they choose a token?

`OPTIONS` is the one table of them: whatever checks, shows, links or explains an option reads its
row. To add one, add its row to the table and its field to `Decoding`. Every stage is computed by
transformers' own logits processors, in the order in which `generate()` applies them.
"""

import math
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, no_type_check

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model_hooks.arrays import check_count
from model_hooks.errors import DecodingError
from model_hooks.write.options import Number, Option
from model_hooks.write.rules import NO_RULES, STAGE, Rules
from model_hooks.write.stages import Stage, ids_of, rank_of, scores_of, stage_of

Processor = LogitsProcessor | LogitsProcessorList
MAX_SEED = 2**63 - 1
MAX_SHOWN_SEED = 2**53 - 1
"""Browsers cannot count further."""
MIN_DIVISOR = 1e-6
"""Below it logits that are divided by it overflow float32."""


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
        allows=lambda value: MIN_DIVISOR <= value < math.inf,
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
        allows=lambda value: MIN_DIVISOR <= value < math.inf,
        must="must be above 0, not {value}.",
        sampling_only=False,
        processor=lambda value: RepetitionPenaltyLogitsProcessor(float(value)),
        tells=_penalty_told,
    ),
    Option(
        "no_repeat_ngram_size",
        "No-repeat n-gram size",
        "Forbids each token with which the last n tokens would stand in the text a second time. 0 "
        "forbids none.",
        kind="whole",
        low=0,
        high=10,
        step=1,
        off=0,
        allows=lambda value: value >= 0,
        must="must be a whole number from 0, not {value}.",
        sampling_only=False,
        processor=lambda value: NoRepeatNGramLogitsProcessor(int(value)),
        removes="The last {value} tokens would stand in the text a second time.",
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
        no_repeat_ngram_size: Forbids tokens that would complete a sequence of n tokens that is
            in the text already (Paulus et al. 2017, section 2.5); 0 forbids none.
        seed: Makes sampling repeat exactly.
        rules: What else may not be written; a model's own settings may bring some.

    Raises:
        DecodingError: An option is out of its range; the message says which and why.
    """

    strategy: Literal["greedy", "sample"] = "greedy"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = field(default=0, kw_only=True)
    seed: int = 0
    rules: Rules = field(default=NO_RULES, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.strategy, str) or self.strategy not in ("greedy", "sample"):
            raise DecodingError(f"strategy must be 'greedy' or 'sample', not {self.strategy!r}.")
        for option in OPTIONS:
            checked = option.checked(getattr(self, option.name))
            object.__setattr__(self, option.name, checked)
        if not isinstance(self.rules, Rules):
            raise DecodingError(f"rules must be Rules, not {reprlib.repr(self.rules)}.")

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse what the vocabulary cannot fill, such as a larger top_k.

        Raises:
            DecodingError: An option exceeds the vocabulary, or this is no size of one.
        """
        vocab_size = check_count("vocab_size", vocab_size, DecodingError)
        for option in OPTIONS:
            value = getattr(self, option.name)
            if option.high is None and value is not None and value > vocab_size:
                raise DecodingError(
                    f"{option.name} is {value}, but the vocabulary has only {vocab_size} tokens."
                )

    def stages(
        self,
        logits: Float[np.ndarray, "vocab"],
        prefix_ids: Sequence[int] | np.ndarray,
        n_written: int = 0,
    ) -> tuple[Stage, ...]:
        """Return the distribution after each stage that these options switch on.

        The first stage is always `raw`, the last is the one a token is picked from.

        Args:
            logits: The model's logits after the last position.
            prefix_ids: The token IDs so far; some options look at them.
            n_written: How many of them were written after the prompt.

        Raises:
            DecodingError: top_k exceeds the vocabulary, or there is nothing to pick from.
        """
        scores = scores_of(logits)
        self.check_vocabulary(scores.shape[1])
        looks_them_up = bool(self.active()) or self.rules.are_on
        ids = ids_of(prefix_ids, scores.shape[1] if looks_them_up else None)
        n_written = check_count("n_written", n_written, DecodingError, 0, ids.shape[1])
        after = self.applied(ids, scores, ids.shape[1] - n_written)
        return (stage_of("raw", scores), *(stage_of(name, made) for name, made in after))

    def applied(self, ids: Tensor, scores: Tensor, n_prompt: int) -> Iterator[tuple[str, Tensor]]:
        """Yield the scores after each stage, for texts of one length: ids [text, pos].

        A stage that would leave no token of a text to pick leaves its scores as they are.

        Args:
            ids: The token IDs so far.
            scores: The model's logits after them, [text, vocab].
            n_prompt: How many of the tokens are the prompt.
        """
        given: Any = ids
        for name, processor in self.processors(scores.shape[-1], n_prompt):
            made = processor(given, scores.clone())
            scores = torch.where(torch.isneginf(made).all(-1, keepdim=True), scores, made)
            yield name, scores

    def pick(self, stage: Stage, step_id: int) -> int:
        """Pick a token ID from the last stage's distribution.

        Each step draws from a random generator of its own, made of the seed and the step, so
        that going back and stepping again gives the same token.
        """
        if self.strategy == "greedy":
            return int(stage.scores.argmax())
        step_id = check_count("step_id", step_id, DecodingError)
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

    def filters(self) -> tuple[str, ...]:
        """Name what removes tokens, each with its value: `top-k 5`."""
        options = (o.setting(value) for o, value in self.active() if o.is_filter)
        return (*options, *(["the model's rules"] if self.rules.are_on else []))

    def without_filters(self) -> "Decoding":
        """Return the same options, but for those that remove tokens."""
        defaults = {of.name: of.default for of in fields(self)}
        off = {o.name: defaults[o.name] for o in OPTIONS if o.is_filter}
        return replace(self, **off, rules=NO_RULES)

    def processors(self, vocab_size: int, n_prompt: int) -> list[tuple[str, Processor]]:
        """Return the processors that `generate()` builds for these options, in its order.

        Args:
            vocab_size: How many logits there are.
            n_prompt: How many tokens the prompt has.
        """
        made = [
            (option, option.processor(value))
            for option, value in self.active()
            if option.processor is not None
        ]
        found: list[tuple[str, Processor]] = [
            (option.name, one) for option, one in made if not option.sampling_only
        ]
        if self.rules.are_on:
            found.append((STAGE, self.rules.processor(vocab_size, n_prompt)))
        return [*found, *((option.name, one) for option, one in made if option.sampling_only)]


# The mark would hide the types of the fields, which links are read by.
del Decoding.__no_type_check__  # pyright: ignore[reportAttributeAccessIssue]


def as_decoding(value: Any) -> Decoding:
    """Return decoding options as they are.

    Raises:
        DecodingError: They are none.
    """
    if not isinstance(value, Decoding):
        raise DecodingError(f"{reprlib.repr(value)} is no Decoding.")
    return value


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
        if after.name == STAGE:
            verdict = "**removed**" if after.removed[token_id] else "stays"
            lines.append(f"**The model's rules**: {verdict}")
        else:
            value = getattr(decoding, after.name)
            lines.append(option_of(after.name).way_of(before, after, value, token_id))
        before = after
    return tuple(lines)
