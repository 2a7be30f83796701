"""Which text does a beam search find, and what does it keep and drop on the way?

transformers' own `generate()` runs it; what it keeps after each step is noted here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from model_hooks.arrays import check_count
from model_hooks.errors import PromptError
from model_hooks.experiments.continuations import Text, write_texts
from model_hooks.experiments.streaming import streamed
from model_hooks.experiments.together import check_numbers, generate, length_of
from model_hooks.model import HookedModel
from model_hooks.run.interventions import Intervention
from model_hooks.write.decoding import Decoding
from model_hooks.write.room import check_room

MOST_PENALTY = 64
"""A context's length raised to it is still a number."""
_NO_BEAM = -1e8
"""transformers gives -1e9 to beams that do not exist."""


@dataclass(frozen=True)
class BeamSearch:
    """A beam search from its first step to its last."""

    prefix_ids: tuple[int, ...]
    n_beams: int
    length_penalty: float
    steps: tuple[tuple[Text, ...], ...] = ()
    """The texts kept after each step, the most probable first; ended ones are kept apart."""
    results: tuple[Text, ...] = ()
    """Complete texts, the one with the best score first; empty while it goes on."""
    scores: tuple[float, ...] = ()
    """Of the results, as transformers gives them: total / n_tokens ** length_penalty."""


def search_beams(
    model: HookedModel,
    token_ids: tuple[int, ...],
    n_beams: int,
    n_tokens: int,
    length_penalty: float = 0.0,
    interventions: tuple[Intervention, ...] = (),
) -> Iterator[BeamSearch]:
    """Run a beam search (Lowerre 1976), yielding it after each step; last, with its results.

    Args:
        model: The model.
        token_ids: The text so far.
        n_beams: How many texts are kept after each step; no more than the vocabulary offers.
        n_tokens: How many tokens to write; fewer where a text ends before.
        length_penalty: What the number of tokens is raised to before a result's log-probability
            is divided by it: 0 compares the sums, 1 (transformers' default) the means per token.
        interventions: What is changed in every run.

    Raises:
        PromptError: The text cannot be run, the context has no room for that many tokens, or
            there is no beam, or the length penalty is out of range.
        InterventionError: This model lacks what is to be changed.
        BrokenModelError: The model computes values that are not numbers.
        ModelError: transformers cannot search beams with this family.
    """
    interventions = model.start(token_ids, interventions=interventions).interventions
    check_room(model.info.context_size, len(token_ids), n_tokens)
    n_beams = check_count("n_beams", n_beams, PromptError, 1)
    if not abs(length_penalty) <= MOST_PENALTY:
        raise PromptError(
            f"length_penalty must be a number from -{MOST_PENALTY} to {MOST_PENALTY}, not "
            f"{length_penalty!r}."
        )
    n_beams = max(1, min(n_beams, model.info.vocab_size - len(model.eos_token_ids)))
    search = BeamSearch(tuple(token_ids), n_beams, float(length_penalty))
    if n_beams == 1:  # generate() would call it greedy, and return no beams
        yield from _greedy(model, search, n_tokens, interventions)
        return
    yield from streamed(lambda put: _searched(model, search, n_tokens, interventions, put))


def _greedy(
    model: HookedModel, search: BeamSearch, n_tokens: int, interventions: tuple[Intervention, ...]
) -> Iterator[BeamSearch]:
    """One beam is the greedy text."""
    texts = write_texts(model, search.prefix_ids, Decoding(), n_tokens, (0,), interventions)
    for (text,) in texts:
        n_kept = len(text.token_ids) - text.ended
        steps = [(Text(text.token_ids[:i], text.log_probs[:i]),) for i in range(1, n_kept + 1)]
        score = text.total / len(text.token_ids) ** search.length_penalty
        search = _with(search, steps, [text], [score])
        yield search


def _with(
    search: BeamSearch,
    steps: Sequence[tuple[Text, ...]],
    results: Sequence[Text] = (),
    scores: Sequence[float] = (),
) -> BeamSearch:
    told = tuple(steps), tuple(results), tuple(scores)
    return BeamSearch(search.prefix_ids, search.n_beams, search.length_penalty, *told)


def _searched(
    model: HookedModel,
    search: BeamSearch,
    n_tokens: int,
    interventions: tuple[Intervention, ...],
    put: Callable[[BeamSearch], None],
) -> BeamSearch:
    n_prefix, n_beams = len(search.prefix_ids), search.n_beams
    watch = _BeamWatch(n_prefix, lambda steps: put(_with(search, steps)))
    output = generate(
        model,
        search.prefix_ids,
        n_beams,
        n_tokens,
        watch,
        interventions,
        num_beams=n_beams,
        num_return_sequences=n_beams,
        length_penalty=search.length_penalty,
        return_dict_in_generate=True,
        output_scores=True,
    )
    results, scores = _results(model, output, n_prefix)
    # The last step is not run on: what is kept after it are the results of full length.
    full = [text for text in results if len(text.token_ids) == n_tokens and not text.ended]
    last = [tuple(sorted(full, key=lambda text: -text.total))] if full else []
    return _with(search, [*watch.steps, *last], results, scores)


def _results(model: HookedModel, output: Any, n_prefix: int) -> tuple[list[Text], list[float]]:
    written = output.sequences[:, n_prefix:]
    results, scores = [], []
    for ids, log_probs, score in zip(
        written.tolist(),
        _log_probs(written, output.beam_indices, output.scores).tolist(),
        output.sequences_scores.tolist(),
        strict=True,
    ):
        if score > _NO_BEAM:
            length, ended = length_of(ids, model.eos_token_ids)
            results.append(Text(tuple(ids[:length]), tuple(log_probs[:length]), ended))
            scores.append(score)
    return results, scores


def _log_probs(written: Tensor, beams: Tensor, scores: Sequence[Tensor]) -> Tensor:
    """Return the log-probability of each token written, from the beam that it was written in.

    transformers' `compute_transition_scores` does so too, but looks in the wrong place where a
    model has fewer logits than its vocabulary has tokens.

    Args:
        written: Token IDs of each result, one column per step.
        beams: From which beam each was taken, one column per step; below 0 after the end.
        scores: Log-probabilities of every step, a row per beam.
    """
    found = torch.zeros(written.shape)
    for step, rows in zip(range(written.shape[1]), scores, strict=False):
        on = beams[:, step] >= 0
        found[on, step] = rows[beams[on, step], written[on, step]].float().cpu()
    return found


class _BeamWatch(LogitsProcessor):
    """Notes the beams that each step starts from, and changes nothing."""

    def __init__(self, n_prefix: int, on_step: Callable[[list[tuple[Text, ...]]], None]) -> None:
        self.n_prefix, self.on_step = n_prefix, on_step
        self.steps: list[tuple[Text, ...]] = []
        self._texts = [Text((), ())]
        self._scores: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        check_numbers(scores)
        if self._scores is not None:
            rows = [tuple(row) for row in input_ids[:, self.n_prefix :].tolist()]
            self._texts = self._longer(rows, self._scores)
            self.steps.append(tuple(sorted(self._texts, key=lambda text: -text.total)))
            self.on_step(self.steps)
        self._scores = scores
        return scores

    def _longer(self, rows: list[tuple[int, ...]], scores: Tensor) -> list[Text]:
        """The texts of some rows, each one token longer than one of those known."""
        parents = {text.token_ids: i for i, text in enumerate(self._texts)}
        texts = []
        for ids in rows:
            parent = parents[ids[:-1]]
            before = self._texts[parent].log_probs
            texts.append(Text(ids, (*before, float(scores[parent, ids[-1]]))))
        return texts
