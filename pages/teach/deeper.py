"""What can a lesson ask that takes a look inside, or several runs? Rows of the closed table."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from model_hooks import AblateAttention, AblateMLP, AttentionPattern, Intervention
from model_hooks.bundled import training_run
from model_hooks.errors import InterventionError, PromptError
from model_hooks.experiments.continuations import write_texts
from model_hooks.read.cached import cached_bytes
from model_hooks.read.choice import surprisals
from model_hooks.read.flash import flash_walk
from model_hooks.read.heads import head_scores
from model_hooks.read.hiding import WithoutWord, hideable, opening_ids, without_words, words_of
from model_hooks.read.lens import lens_at, ranks_of, stream_points
from model_hooks.read.neurons import NeuronEffects, neuron_effects
from model_hooks.read.recorded import decode_after, layer_output, part_sizes
from model_hooks.write.writing import write_all
from pages.ask.computed import computed, watched
from pages.teach.one_run import top_token
from pages.teach.subject import Kind, Subject

_lens_at = computed(lens_at)
_stream_points = computed(stream_points)
_head_scores = computed(head_scores)
_layer_output = computed(layer_output)
_part_sizes = computed(part_sizes)
_neuron_effects = computed(neuron_effects)
_cached_bytes = computed(cached_bytes)
_without_words = computed(without_words)
_opening_ids = computed(opening_ids)
_flash_walk = computed(flash_walk)
_surprisals = computed(surprisals)
_decode_after = computed(decode_after)
_write_all = computed(write_all)
_write_texts = watched(write_texts)
TILE = 4
"""Queries and keys per tile, where tiles are compared with the whole."""


def continuation(about: Subject, n: int) -> str:
    """Return what the model writes next, with the options set."""
    before = about.run.token_ids
    steps = _write_all(about.model, before, about.decoding, n, True, about.interventions)
    return _decode_after(about.model, before, tuple(step.token_id for step in steps))


def different_texts(about: Subject, n_texts: int, n: int) -> int:
    """Return how many different texts as many seeds write."""
    asked = about.model, about.run.token_ids, about.decoding, n, tuple(range(n_texts))
    texts = _write_texts(*asked, about.interventions, on_value=lambda _: None)
    return len({text.token_ids for text in texts})


def changed_positions(about: Subject, other: str) -> int:
    """Return how many tokens before the last have another vector, in any layer, in another text.

    Raises:
        PromptError: The other text does not have as many tokens.
    """
    here, there = about.run, replace(about, prompt=other).run
    if len(here.token_ids) != len(there.token_ids):
        raise PromptError("The two texts differ in their number of tokens.")
    changed = np.zeros(len(here.token_ids), bool)
    for layer in range(about.info.n_layers):
        gap = np.abs(_layer_output(*here, layer) - _layer_output(*there, layer)).max(-1)
        changed |= gap > 0
    return int(changed[:-1].sum())


def sharpest_head(about: Subject, score: str) -> str:
    """Return the head with the highest score of a kind, as layer.head."""
    found = _head_scores(*about.run)
    values = np.nan_to_num(found.scores[score], nan=-np.inf)
    row, head = np.unravel_index(values.argmax(), values.shape)
    return f"{found.layers[row]}.{head}"


def head_score(about: Subject, score: str) -> float:
    """Return the score of the head that is looked at."""
    found = _head_scores(*about.run)
    return float(found.scores[score][found.layers.index(about.layer), about.head or 0])


def lead_layer(about: Subject, of: str = "") -> int:
    """Return the layer after which a word leads for good; by default the one it ends on.

    Raises:
        PromptError: It does not lead in the end.
    """
    ranks = _lens_ranks(about, of)
    behind = np.flatnonzero(ranks > 1)
    if len(behind) and behind[-1] == len(ranks) - 1:
        raise PromptError(f"“{of}” does not lead in the end.")
    return int(behind[-1]) if len(behind) else 0  # row 0 is the embedding


def lens_token(about: Subject, after: int) -> str:
    """Return the token that would lead if the model stopped after a layer."""
    return about.token(int(_lens(about, False)[after + 1].argmax()))


def lens_probability(about: Subject, of: str, after: int, half: str = "feedforward") -> float:
    """Return a word's probability if the model stopped after a half of a layer.

    Raises:
        PromptError: The stream of this model has no such place.
    """
    points = [tuple(point) for point in _stream_points(about.model, True)]
    if (after, half) not in points:
        raise PromptError("The stream of this model has no such place.")
    row = _lens(about, True)[points.index((after, half))]
    return float(np.exp(row[about.token_id(of)]))


def lens_rank(about: Subject, of: str, after: int) -> int:
    """Return a word's rank if the model stopped after a layer."""
    return int(_lens_ranks(about, of)[after + 1])


def strongest_neuron(about: Subject, of: str) -> int:
    """Return the number of the neuron that adds most to a word in the layer looked at."""
    return int(_effects(about, of).effects.argmax())


def neuron_share(about: Subject, of: str) -> float:
    """Return which share of what the feedforward adds to a word its strongest neuron adds."""
    found = _effects(about, of)
    return float(found.effects.max() / found.whole)


def rows_computed(about: Subject, n: int, cache: bool) -> int:
    """Return how many positions are run through the blocks to write some tokens."""
    steps = _write_all(
        about.model, about.run.token_ids, about.decoding, n, cache, about.interventions
    )
    before, rows = len(about.run.token_ids), 0
    for number, step in enumerate(steps):
        # A run that was kept from an earlier visitor computes nothing: count what it stands for.
        rows += step.rows_computed or (1 if cache and number else before + number)
    return rows


def position_bytes(about: Subject) -> int:
    """Return the bytes of keys and values that one position takes."""
    ids = about.run.token_ids
    return _cached_bytes(about.model, ids, about.interventions) // len(ids)


def smallest_window(about: Subject) -> int:
    """Return the smallest window of tokens with which the model still says the same.

    The own token counts. Every larger window leaves the answer as it is, too.
    """
    whole, windows = top_token(about), range(about.at + 1, 0, -1)
    smallest = about.at + 1
    for window in windows:
        pattern = AttentionPattern("window", window)
        if top_token(_with(about, pattern)) != whole:
            break
        smallest = window
    return smallest


def flash_difference(about: Subject) -> float:
    """Return the largest difference between a head's output in tiles and all at once.

    Raises:
        PromptError: The queries and keys of this model were not recorded.
    """
    walk = _flash_walk(*about.run, about.layer, about.head or 0, TILE, TILE)
    if walk is None:
        raise PromptError("The queries and keys of this model were not recorded.")
    return float(walk.difference)


def vector_length(about: Subject, after: int) -> float:
    """Return the length of the stream's vector after a layer."""
    return float(_part_sizes(*about.run)[after][4][about.at])


def mean_surprisal(about: Subject, start: int, stop: int) -> float:
    """Return the mean surprisal of a stretch of the prompt's tokens."""
    return float(_surprisals(*about.run).bits[start:stop].mean())


def bits_per_byte(about: Subject) -> float:
    """Return how a bundled model did on unseen stories when its training was over.

    Raises:
        PromptError: That is not known.
    """
    run = training_run(about.model)
    if run is None or run.bits_per_byte is None:
        raise PromptError("Nothing is known of the training of this model.")
    return run.bits_per_byte


def word_that_matters(about: Subject) -> str:
    """Return the word of the text without which the answer loses most of its probability."""
    found = _hidden(about)
    words = about.tokens()
    worst = min(found, key=lambda one: one.probability)
    return "".join(words[pos] for pos in worst.word)


def probability_without(about: Subject, place: int) -> float:
    """Return the answer's probability with the word hidden that matters most, or next to it."""
    return float(sorted(one.probability for one in _hidden(about))[place - 1])


def costliest_layer(about: Subject, part: str) -> int:
    """Return the layer whose attention or feedforward the answer needs most."""
    return int(np.argmin(_without_layers(about, part)))


def cheapest_layer(about: Subject, part: str) -> int:
    """Return the layer whose attention or feedforward the answer needs least."""
    return int(np.argmax(_without_layers(about, part)))


def _without_layers(about: Subject, part: str) -> np.ndarray:
    kind = {"attention": AblateAttention, "feedforward": AblateMLP}[part]
    best = int(about.probabilities().argmax())
    chances = []
    for layer in range(about.info.n_layers):
        try:
            chances.append(float(_with(about, kind(layer)).probabilities()[best]))
        except InterventionError:
            chances.append(np.nan)
    return np.nan_to_num(np.array(chances), nan=1.0)


def _with(about: Subject, intervention: Intervention) -> Subject:
    return replace(about, interventions=(*about.interventions, intervention))


def _hidden(about: Subject) -> tuple[WithoutWord, ...]:
    first = int(about.run.token_ids[0] in _opening_ids(about.model))
    words = hideable(words_of(about.tokens(), first), about.at, first)
    if not words:
        raise PromptError("There is no earlier word to hide.")
    best = int(about.probabilities().argmax())
    ids = about.run.token_ids[: about.at + 1]
    return _without_words(about.model, ids, best, words, about.interventions)


def _effects(about: Subject, of: str) -> NeuronEffects:
    return _neuron_effects(*about.run, about.layer, about.token_id(of), about.at)


def _lens(about: Subject, halves: bool) -> np.ndarray:
    return _lens_at(*about.run, about.at, halves)


def _lens_ranks(about: Subject, of: str) -> np.ndarray:
    rows = _lens(about, False)
    token_id = about.token_id(of) if of else int(rows[-1].argmax())
    return ranks_of(rows, [token_id])[:, 0]


DEEPER: Mapping[str, Kind] = {
    "continuation": Kind("text", continuation, {"n": int}),
    "different_texts": Kind("number", different_texts, {"n_texts": int, "n": int}),
    "changed_positions": Kind("number", changed_positions, {"other": str}),
    "sharpest_head": Kind("head", sharpest_head, {"score": str}),
    "head_score": Kind("share", head_score, {"score": str}),
    "lead_layer": Kind("layer", lead_layer, {"of": ""}),
    "lens_token": Kind("token", lens_token, {"after": int}),
    "lens_probability": Kind(
        "share", lens_probability, {"of": str, "after": int, "half": "feedforward"}
    ),
    "lens_rank": Kind("number", lens_rank, {"of": str, "after": int}),
    "strongest_neuron": Kind("number", strongest_neuron, {"of": str}),
    "neuron_share": Kind("share", neuron_share, {"of": str}),
    "rows_computed": Kind("number", rows_computed, {"n": int, "cache": bool}),
    "position_bytes": Kind("bytes", position_bytes),
    "smallest_window": Kind("number", smallest_window),
    "flash_difference": Kind("number", flash_difference),
    "vector_length": Kind("number", vector_length, {"after": int}),
    "mean_surprisal": Kind("bits", mean_surprisal, {"start": int, "stop": int}),
    "bits_per_byte": Kind("bits per byte", bits_per_byte),
    "word_that_matters": Kind("token", word_that_matters),
    "probability_without": Kind("share", probability_without, {"place": int}),
    "costliest_layer": Kind("layer", costliest_layer, {"part": str}),
    "cheapest_layer": Kind("layer", cheapest_layer, {"part": str}),
}
"""By the names that lesson files use."""
