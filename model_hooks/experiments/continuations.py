"""What else could follow a text: many draws from one beginning, each with a seed of its own?

transformers' own `generate()` runs the model; what it picks on the way is noted here.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import LogitsProcessor

from model_hooks.arrays import to_array
from model_hooks.errors import PromptError
from model_hooks.experiments.streaming import streamed
from model_hooks.experiments.together import check_numbers, generate, length_of
from model_hooks.model import HookedModel
from model_hooks.read.choice import surprisals
from model_hooks.run.interventions import Intervention
from model_hooks.run.prompts import check_token_ids
from model_hooks.write.decoding import MAX_SEED, Decoding
from model_hooks.write.room import check_room
from model_hooks.write.stages import Stage

MAX_POSITIONS = 2**14
"""Positions of all texts together that one batch should hold: keys and values take memory."""


@dataclass(frozen=True)
class Text:
    """What was written after a prefix, token by token."""

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    """The model's own natural log-probability of each token, before any decoding option."""
    ended: bool = False
    """Whether the last token ends the text."""

    @property
    def total(self) -> float:
        """The log-probability of the whole: the sum over its tokens."""
        return sum(self.log_probs)


def write_texts(
    model: HookedModel,
    token_ids: tuple[int, ...],
    decoding: Decoding,
    n_tokens: int,
    seeds: tuple[int, ...],
    interventions: tuple[Intervention, ...] = (),
) -> Iterator[tuple[Text, ...]]:
    """Continue a text once per seed, all in one batch, yielding the texts after each token.

    Each text is the one that `model.generate` writes with the same options and that seed:
    `generate()` of transformers would draw from the one random generator that all threads share.

    Args:
        model: The model.
        token_ids: The text so far.
        decoding: How tokens are picked; its own seed is not used.
        n_tokens: How many tokens to write; fewer where a text ends before.
        seeds: One per text.
        interventions: What is changed in every run.

    Raises:
        PromptError: The text cannot be run, or the context has no room for that many tokens.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be changed.
        BrokenModelError: The model computes values that are not numbers.
        ModelError: transformers cannot generate with this family.
    """
    start = model.start(token_ids, decoding, interventions=interventions)
    check_room(model.info.context_size, len(token_ids), n_tokens)
    decodings = [replace(decoding, seed=int(seed) % (MAX_SEED + 1)) for seed in seeds]

    def write(put: Callable[[tuple[Text, ...]], None]) -> tuple[Text, ...]:
        picker = _Picker(decodings, len(token_ids), model.eos_token_ids, put)
        generate(model, start.prompt_ids, len(seeds), n_tokens, picker, start.interventions)
        return picker.texts()

    yield from streamed(write)


def text_log_prob(
    model: HookedModel,
    prefix_ids: tuple[int, ...],
    token_ids: tuple[int, ...],
    interventions: tuple[Intervention, ...] = (),
) -> float:
    """Return the natural log-probability of a continuation, from one plain run of the whole.

    Raises:
        PromptError: The text cannot be run, or the continuation or what is before it is empty.
        InterventionError: This model lacks what is to be changed.
    """
    if not token_ids:
        raise PromptError("An empty continuation has no probability: name one token or more.")
    if not prefix_ids:
        raise PromptError("Nothing predicts the first token of a text: name one before it.")
    check_token_ids(token_ids, model.info.vocab_size)
    # The last token need not be read: a text may be one token longer than the context.
    trace = model.trace([*prefix_ids, *token_ids[:-1]], interventions)
    before = float(surprisals(model, trace).bits[len(prefix_ids) :].sum()) * math.log(2)
    last = torch.log_softmax(torch.tensor(trace.last_logits).double(), -1)[token_ids[-1]]
    return float(last) - before


def texts_at_once(n_tokens: int) -> int:
    """Return how many texts of this length one batch should hold."""
    return max(1, MAX_POSITIONS // n_tokens)


class _Picker(LogitsProcessor):
    """Applies the decoding stages, picks a token per row and leaves `generate()` no other."""

    def __init__(
        self,
        decodings: Sequence[Decoding],
        n_prefix: int,
        eos_token_ids: frozenset[int],
        on_step: Callable[[tuple[Text, ...]], None],
    ) -> None:
        self.decodings, self.n_prefix, self.on_step = decodings, n_prefix, on_step
        self._eos = eos_token_ids
        self._picked: list[list[int]] = [[] for _ in decodings]
        self._log_probs: list[list[float]] = [[] for _ in decodings]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step_id = input_ids.shape[1] - self.n_prefix
        if step_id > 0:
            self.on_step(self.texts())
        check_numbers(scores)
        own = torch.log_softmax(scores.float(), -1)
        for _, after in self.decodings[0].applied(input_ids, scores, self.n_prefix):
            scores = after
        rows = zip(self.decodings, to_array(scores), strict=True)
        picked = [decoding.pick(Stage("final", row), step_id) for decoding, row in rows]
        for i, token_id in enumerate(picked):
            self._picked[i].append(token_id)
            self._log_probs[i].append(float(own[i, token_id]))
        chosen = torch.tensor(picked, device=scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)

    def texts(self) -> tuple[Text, ...]:
        """Return what is written so far; a text that ended grows no more."""
        found = []
        for ids, log_probs in zip(self._picked, self._log_probs, strict=True):
            length, ended = length_of(ids, self._eos)
            found.append(Text(tuple(ids[:length]), tuple(log_probs[:length]), ended))
        return tuple(found)
