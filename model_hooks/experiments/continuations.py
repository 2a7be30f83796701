"""Continue one text many times at once: many draws, or the beams of a beam search.

transformers' own `generate()` runs the model; what it picks and drops on the way is noted here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from model_hooks.errors import BrokenModelError, InlookError, ModelError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.choice import surprisals
from model_hooks.run.trace import to_array
from model_hooks.write.decoding import MAX_SEED, Decoding
from model_hooks.write.stages import Stage

MAX_POSITIONS = 2**14
"""Positions of all texts together that one batch should hold: keys and values take memory."""

_NO_BEAM = -1e8
"""transformers gives -1e9 to beams that do not exist."""
_PLAIN = {
    "do_sample": False,
    "num_beams": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "early_stopping": False,
}
"""What a checkpoint's own generation config might otherwise change."""


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


@dataclass(frozen=True)
class BeamSearch:
    """A beam search from its first step to its last."""

    prefix_ids: tuple[int, ...]
    n_beams: int
    length_penalty: float
    steps: tuple[tuple[Text, ...], ...]
    """The texts kept after each step, the most probable first; ended ones are kept apart."""
    results: tuple[Text, ...]
    """Complete texts, the one with the best score first."""
    scores: tuple[float, ...]
    """Of the results, as transformers gives them: total / n_tokens ** length_penalty."""


def continue_text(
    model: HookedModel,
    token_ids: Sequence[int],
    decoding: Decoding,
    n_tokens: int,
    seeds: Sequence[int],
    on_step: Callable[[int], None] | None = None,
) -> list[Text]:
    """Continue a text once per seed, all in one batch.

    Each text is the one that `model.generate` writes with the same options and that seed:
    `generate()` of transformers would draw from the one random generator that all threads share.

    Args:
        model: The model.
        token_ids: The text so far.
        decoding: How tokens are picked; its own seed is not used.
        n_tokens: How many tokens to write; fewer where a text ends before.
        seeds: One per text.
        on_step: Called with the number of tokens that every text has; an exception ends the run.

    Raises:
        PromptError: The context has no room for that many tokens.
        BrokenModelError: The model computes values that are not numbers.
        ModelError: transformers cannot generate with this family.
    """
    check_room(model, len(token_ids), n_tokens)
    decoding.check_vocabulary(model.info.vocab_size)
    decodings = [replace(decoding, seed=int(seed) % (MAX_SEED + 1)) for seed in seeds]
    picker = _Picker(decodings, len(token_ids), on_step)
    sequences = _generate(model, token_ids, len(seeds), n_tokens, picker)
    picked = torch.stack(picker.log_probs, 1).tolist()
    texts = []
    for ids, log_probs in zip(sequences[:, len(token_ids) :].tolist(), picked, strict=True):
        length, ended = _length(ids, model.eos_token_ids)
        texts.append(Text(tuple(ids[:length]), tuple(log_probs[:length]), ended))
    return texts


def search_beams(
    model: HookedModel,
    token_ids: Sequence[int],
    n_beams: int,
    n_tokens: int,
    length_penalty: float = 0.0,
    on_step: Callable[[int], None] | None = None,
) -> BeamSearch:
    """Run a beam search (Lowerre 1976) by transformers' `generate()` and keep every step of it.

    Args:
        model: The model.
        token_ids: The text so far.
        n_beams: How many texts are kept after each step; no more than the vocabulary offers.
        n_tokens: How many tokens to write; fewer where a text ends before.
        length_penalty: What the number of tokens is raised to before a result's log-probability
            is divided by it: 0 compares the sums, 1 (transformers' default) the means per token.
        on_step: Called with the number of tokens that every beam has; an exception ends the run.

    Raises:
        PromptError: The context has no room for that many tokens.
        BrokenModelError: The model computes values that are not numbers.
        ModelError: transformers cannot search beams with this family.
    """
    check_room(model, len(token_ids), n_tokens)
    eos = model.eos_token_ids
    n_beams = max(1, min(n_beams, model.info.vocab_size - len(eos)))
    if n_beams == 1:  # generate() would call it greedy, and return no beams
        text = continue_text(model, token_ids, Decoding(), n_tokens, [0], on_step)[0]
        n_kept = len(text.token_ids) - text.ended
        steps = [(Text(text.token_ids[:i], text.log_probs[:i]),) for i in range(1, n_kept + 1)]
        score = text.total / len(text.token_ids) ** length_penalty
        return BeamSearch(tuple(token_ids), 1, length_penalty, tuple(steps), (text,), (score,))
    watch = _BeamWatch(len(token_ids), on_step)
    output = _generate(
        model,
        token_ids,
        n_beams,
        n_tokens,
        watch,
        num_beams=n_beams,
        num_return_sequences=n_beams,
        length_penalty=float(length_penalty),
        return_dict_in_generate=True,
        output_scores=True,
    )
    transitions = model.model.compute_transition_scores(
        output.sequences, output.scores, output.beam_indices
    )
    results, scores = [], []
    for ids, log_probs, score in zip(
        output.sequences[:, len(token_ids) :].tolist(),
        transitions.tolist(),
        output.sequences_scores.tolist(),
        strict=True,
    ):
        if score > _NO_BEAM:
            length, ended = _length(ids, eos)
            results.append(Text(tuple(ids[:length]), tuple(log_probs[:length]), ended))
            scores.append(score)
    steps = list(watch.steps)
    # The last step is not run on: what is kept after it are the results of full length.
    full = [text for text in results if len(text.token_ids) == n_tokens and not text.ended]
    if full:
        steps.append(tuple(sorted(full, key=lambda text: -text.total)))
    return BeamSearch(
        tuple(token_ids), n_beams, length_penalty, tuple(steps), tuple(results), tuple(scores)
    )


def text_log_prob(model: HookedModel, prefix_ids: Sequence[int], token_ids: Sequence[int]) -> float:
    """Return the natural log-probability of a continuation, from one plain run of the whole."""
    trace = model.trace([*prefix_ids, *token_ids])
    return float(-surprisals(model, trace).bits[len(prefix_ids) :].sum() * math.log(2))


def room(model: HookedModel, n_tokens: int) -> int | None:
    """Return how many tokens still fit after a text of this length; None if nothing limits it."""
    size = model.info.context_size
    return None if size is None else max(0, size - n_tokens)


def check_room(model: HookedModel, n_tokens: int, n_new: int) -> None:
    """Refuse to write past the end of the context.

    Raises:
        PromptError: There is no room.
    """
    left = room(model, n_tokens)
    if left is not None and n_new > left:
        raise PromptError(
            f"The text has {n_tokens} tokens and this model reads at most "
            f"{model.info.context_size}: there is room for {left} more, not for {n_new}."
        )


def texts_at_once(n_tokens: int) -> int:
    """Return how many texts of this length one batch should hold."""
    return max(1, MAX_POSITIONS // n_tokens)


class _Picker(LogitsProcessor):
    """Applies the decoding stages, picks a token per row and leaves `generate()` no other."""

    def __init__(
        self,
        decodings: Sequence[Decoding],
        n_prefix: int,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.decodings, self.n_prefix, self.on_step = decodings, n_prefix, on_step
        self.log_probs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step_id = input_ids.shape[1] - self.n_prefix
        if self.on_step is not None:
            self.on_step(step_id)
        own = _log_probs(scores)
        for _, processor in self.decodings[0].processors():
            scores = processor(input_ids, scores)
        picked = torch.tensor(
            [
                decoding.pick(Stage("final", row), step_id)
                for decoding, row in zip(self.decodings, to_array(scores), strict=True)
            ],
            device=scores.device,
        )[:, None]
        self.log_probs.append(own.gather(1, picked)[:, 0])
        return torch.full_like(scores, -torch.inf).scatter(1, picked, 0.0)


class _BeamWatch(LogitsProcessor):
    """Notes the beams that each step starts from, and changes nothing."""

    def __init__(self, n_prefix: int, on_step: Callable[[int], None] | None) -> None:
        self.n_prefix, self.on_step = n_prefix, on_step
        self.steps: list[tuple[Text, ...]] = []
        self._texts = [Text((), ())]
        self._scores: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step_id = input_ids.shape[1] - self.n_prefix
        if self.on_step is not None:
            self.on_step(step_id)
        _check_numbers(scores)
        if self._scores is not None:
            parents = {text.token_ids: i for i, text in enumerate(self._texts)}
            rows = [tuple(row) for row in input_ids[:, self.n_prefix :].tolist()]
            self._texts = [
                Text(
                    ids,
                    (
                        *self._texts[parents[ids[:-1]]].log_probs,
                        float(self._scores[parents[ids[:-1]], ids[-1]]),
                    ),
                )
                for ids in rows
            ]
            self.steps.append(tuple(sorted(self._texts, key=lambda text: -text.total)))
        self._scores = scores
        return scores


def _generate(
    model: HookedModel,
    token_ids: Sequence[int],
    n_rows: int,
    n_tokens: int,
    processor: LogitsProcessor,
    **options: Any,
) -> Any:
    """Run `generate()`, with the prompt computed once for all rows where the cache allows it."""
    ids = torch.tensor([list(map(int, token_ids))], device=model.model.device)
    config = GenerationConfig(
        **{**_PLAIN, **options},
        max_new_tokens=n_tokens,
        use_cache=model.abilities.continues,
        eos_token_id=sorted(model.eos_token_ids) or None,
        pad_token_id=min(model.eos_token_ids, default=0),
    )
    try:
        with torch.inference_mode():
            cache = _prompt_cache(model, ids, n_rows)
            if "num_beams" not in options:
                ids = ids.expand(n_rows, -1)
            return model.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=config,
                logits_processor=LogitsProcessorList([processor]),
                **({} if cache is None else {"past_key_values": cache}),
            )
    except InlookError:
        raise
    except Exception as error:
        raise ModelError(
            f"transformers cannot continue several texts at once with {model.info.name} "
            f"({model.info.family}): {type(error).__name__}."
        ) from error


def _prompt_cache(model: HookedModel, ids: Tensor, n_rows: int) -> DynamicCache | None:
    """Return keys and values of all positions but the last, repeated for every row."""
    if ids.shape[1] < 2 or not model.abilities.continues or model.abilities.names_positions:
        return None
    kept = {"logits_to_keep": 1} if model.abilities.keeps_last_logits else {}
    output = model.model(input_ids=ids[:, :-1], use_cache=True, **kept)
    cache = output.get("past_key_values")
    plain = (DynamicLayer, DynamicSlidingWindowLayer)  # others keep states that cannot be repeated
    if type(cache) is not DynamicCache or any(type(layer) not in plain for layer in cache.layers):
        return None
    cache.batch_repeat_interleave(n_rows)
    return cache


def _log_probs(logits: Tensor) -> Tensor:
    _check_numbers(logits)
    return torch.log_softmax(logits.float(), -1)


def _check_numbers(scores: Tensor) -> None:
    if bool(scores.isnan().any()):
        raise BrokenModelError(
            "The model computes values that are not numbers (NaN) for this text, so there is "
            "nothing to choose from. Its weights look damaged: choose another model."
        )


def _length(ids: Sequence[int], eos_token_ids: frozenset[int]) -> tuple[int, bool]:
    """Return the length up to the token that ends the text, and whether there is one."""
    for i, token_id in enumerate(ids):
        if token_id in eos_token_ids:
            return i + 1, True
    return len(ids), False
