"""How far apart are two runs? Of the same model or of two, at the places that their texts share.

The first run is called A and the second one B; differences are B - A. Distances of distributions
are in bits.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from model_hooks.arrays import check_index, log_softmax, read_only
from model_hooks.errors import ComparisonError, PromptError
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.read.lens import Point, stream_at, stream_points
from model_hooks.read.tail import rows_at_once
from model_hooks.run.trace import Trace

Pairs = tuple[tuple[int, int], ...]
"""Positions in A and in B that share a place."""
OTHER_VOCABULARY = (
    "A and B have different vocabularies: their probabilities are about different tokens, so they "
    "are not subtracted."
)


class Other(NamedTuple):
    """Run B: what a question is asked about beside run A."""

    model: HookedModel
    trace: Trace


@dataclass(frozen=True, eq=False)
class Apart:
    """How far apart the models' own distributions of the next token are, place by place."""

    kl_ab: Float[np.ndarray, "place"]
    """KL(A||B)."""
    kl_ba: Float[np.ndarray, "place"]
    total_variation: Float[np.ndarray, "place"]
    """From 0 to 1: how much probability lies elsewhere."""
    best_a: Int[np.ndarray, "place"]
    """The token that A expects most."""
    best_b: Int[np.ndarray, "place"]
    surprise: Float[np.ndarray, "2 2 place"]
    """In bits, of the token that comes next in A's text and in B's (first index), to A and to B
    (second index); NaN where a text ends."""


@dataclass(frozen=True, eq=False)
class LensApart:
    """How far apart two runs are at every point of their streams, read by the logit lens."""

    points: tuple[Point, ...]
    kl_ab: Float[np.ndarray, "point place"]
    kl_ba: Float[np.ndarray, "point place"]
    difference: Float[np.ndarray, "point place"]
    """B - A of the probability of the token that B ends on."""
    part_at: tuple[int | None, ...]
    """By place, from which point on their guesses differ for good; None where they end alike."""


@dataclass(frozen=True, eq=False)
class HeadsApart:
    """How differently each head of each layer that has attention reads in two runs."""

    layers: tuple[int, ...]
    """The number of each row's layer."""
    distance: Float[np.ndarray, "layer head"]
    """From 0 to 1: the part of its attention that a head puts elsewhere, the mean over queries."""


@once_per_model
def vocabulary_of(model: HookedModel) -> str:
    """Return a mark that two models share when their token IDs mean the same tokens."""
    known = sorted((token_id, piece) for piece, token_id in model.tokenizer.get_vocab().items())
    said = repr((model.info.vocab_size, known)).encode()
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def share_vocabulary(model: HookedModel, other: Other) -> bool:
    """Tell whether the token IDs of two runs mean the same tokens."""
    return vocabulary_of(model) == vocabulary_of(other.model)


def kl_bits(
    log_p: Float[np.ndarray, "row token"], log_q: Float[np.ndarray, "row token"]
) -> Float[np.ndarray, "row"]:
    """Return KL(p||q) in bits, of natural log-probabilities (Kullback and Leibler 1951).

    How many more bits a token costs on average whoever expects q where p is true.
    """
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):  # what p never picks costs nothing
        terms = np.where(p > 0, p * (log_p - log_q), 0.0)
    return terms.sum(-1) / np.log(2)


def total_variation(
    p: Float[np.ndarray, "row token"], q: Float[np.ndarray, "row token"]
) -> Float[np.ndarray, "row"]:
    """Return half the sum of absolute differences of two distributions, from 0 to 1."""
    return np.abs(p - q).sum(-1) / 2


def apart(model: HookedModel, trace: Trace, other: Other, pairs: Pairs) -> Apart:
    """Compare what two runs expect to come next, after each pair of positions.

    Raises:
        ComparisonError: The vocabularies differ.
        PromptError: A run lacks such a position.
    """
    check_vocabularies(model, other.model)
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("kl_ab", "kl_ba", "total_variation", "best_a", "best_b", "surprise")
    }
    for some, log_a, log_b in _log_probs(Other(model, trace), other, pairs):
        of_next = _surprise(trace, [a for a, _ in some], log_a, log_b)
        of_others = _surprise(other.trace, [b for _, b in some], log_a, log_b)
        found["surprise"].append(np.stack([of_next, of_others]))
        found["kl_ab"].append(kl_bits(log_a, log_b))
        found["kl_ba"].append(kl_bits(log_b, log_a))
        found["total_variation"].append(total_variation(np.exp(log_a), np.exp(log_b)))
        found["best_a"].append(log_a.argmax(-1))
        found["best_b"].append(log_b.argmax(-1))
    return Apart(**{name: read_only(np.concatenate(rows, -1)) for name, rows in found.items()})


def lens_apart(
    model: HookedModel, trace: Trace, other: Other, pairs: Pairs, halves: bool = False
) -> LensApart:
    """Compare what two runs would predict after each layer, at each pair of positions.

    Raises:
        ComparisonError: The vocabularies differ, or the layers.
        PromptError: A run lacks such a position.
    """
    check_vocabularies(model, other.model)
    points = stream_points(model, halves)
    if points != stream_points(other.model, halves):
        raise ComparisonError(
            f"A has {model.info.n_layers} layers and B {other.model.info.n_layers}, or they are "
            "built otherwise: there is no telling which of them stand for each other."
        )
    shape = len(points), len(pairs)
    ab, ba, difference = (np.empty(shape) for _ in range(3))
    guesses = np.empty((2, *shape), np.int64)
    finals = apart(model, trace, other, pairs).best_b
    for place, pair in enumerate(pairs):
        log_a, log_b = _lens_log_probs(Other(model, trace), other, pair, points)
        ab[:, place], ba[:, place] = kl_bits(log_a, log_b), kl_bits(log_b, log_a)
        final = finals[place]
        difference[:, place] = np.exp(log_b[:, final]) - np.exp(log_a[:, final])
        guesses[:, :, place] = log_a.argmax(-1), log_b.argmax(-1)
    parted = tuple(_for_good(row) for row in (guesses[0] != guesses[1]).T)
    return LensApart(points, read_only(ab), read_only(ba), read_only(difference), parted)


def heads_apart(trace: Trace, other: Other, pairs: Pairs) -> HeadsApart:
    """Compare what every head reads in two runs: the total variation of the pairs' rows.

    Weight on a key that is in no pair lies elsewhere. Nothing is computed of queries that lie
    before and after the pairs.

    Raises:
        ComparisonError: The runs have other layers or heads.
        PromptError: A run lacks such a position.
    """
    a, b = trace, other.trace
    check_heads(a, b)
    of_a, of_b = _positions(pairs, len(a), len(b))
    rows = []
    for layer in a.attention_layers:
        distances = []
        for head in range(a.n_heads):
            read_a, read_b = _read_by(a, layer, head, of_a), _read_by(b, layer, head, of_b)
            shared = np.abs(read_a[:, of_a] - read_b[:, of_b]).sum(-1)
            alone = read_a.sum(-1) - read_a[:, of_a].sum(-1)
            alone = alone + read_b.sum(-1) - read_b[:, of_b].sum(-1)
            distances.append(float(np.mean(shared + np.abs(alone))) / 2)
        rows.append(distances)
    return HeadsApart(a.attention_layers, read_only(np.array(rows)))


def _read_by(
    trace: Trace, layer: int, head: int, positions: list[int]
) -> Float[np.ndarray, "row pos"]:
    """Return the attention weights of some queries."""
    positions = [pos % len(trace) for pos in positions]
    first, last = min(positions), max(positions)
    rows = trace.attention_rows(layer, first, last + 1, head)[0]
    return rows[[pos - first for pos in positions]]


def on_places(
    weights: Float[np.ndarray, "pos pos"], positions: list[int | None]
) -> Float[np.ndarray, "place place"]:
    """Return attention weights by places instead of positions; NaN where nothing may be read.

    Args:
        weights: One row per query.
        positions: The position at each place, None for a gap.
    """
    there = [place for place, pos in enumerate(positions) if pos is not None]
    at = [pos for pos in positions if pos is not None]
    found = np.full((len(positions), len(positions)), np.nan)
    seen = np.where(np.tri(len(weights), dtype=bool), weights, np.nan)
    found[np.ix_(there, there)] = seen[np.ix_(at, at)]
    return read_only(found)


def check_heads(a: Trace, b: Trace) -> None:
    """Refuse two runs whose heads have no partners.

    Raises:
        ComparisonError: The runs have other layers or heads.
    """
    if (a.attention_layers, a.n_heads) != (b.attention_layers, b.n_heads):
        raise ComparisonError(
            f"A has {len(a.attention_layers)} layers of {a.n_heads} heads and B "
            f"{len(b.attention_layers)} of {b.n_heads}: no head of one stands for one of the "
            "other, so their attention is not subtracted."
        )


def check_vocabularies(a: HookedModel, b: HookedModel) -> None:
    """Refuse two models whose token IDs mean different tokens.

    Raises:
        ComparisonError: The vocabularies differ.
    """
    if a is not b and vocabulary_of(a) != vocabulary_of(b):
        raise ComparisonError(OTHER_VOCABULARY)


def _positions(pairs: Pairs, n_a: int, n_b: int) -> tuple[list[int], list[int]]:
    if not pairs:
        raise ComparisonError("The two texts share no place.")
    of_a = [check_index("position", pos, n_a, PromptError) for pos, _ in pairs]
    return of_a, [check_index("position", pos, n_b, PromptError) for _, pos in pairs]


def _surprise(
    trace: Trace,
    positions: list[int],
    log_a: Float[np.ndarray, "pos token"],
    log_b: Float[np.ndarray, "pos token"],
) -> Float[np.ndarray, "2 pos"]:
    """Bits of what comes next in a run's text, to A and to B."""
    bits = np.full((2, len(positions)), np.nan)
    for row, pos in enumerate(positions):
        if pos % len(trace) + 1 < len(trace):
            token_id = int(trace.token_ids[pos % len(trace) + 1])
            bits[:, row] = -log_a[row, token_id], -log_b[row, token_id]
    return bits / np.log(2) + 0.0


def _log_probs(
    a: Other, b: Other, pairs: Pairs
) -> Iterator[tuple[Pairs, Float[np.ndarray, "pos token"], Float[np.ndarray, "pos token"]]]:
    """Yield the log-probabilities after some pairs of positions, and then after the next ones."""
    of_a, of_b = _positions(pairs, len(a.trace), len(b.trace))
    step = min(rows_at_once(a.model), rows_at_once(b.model))
    for start in range(0, len(pairs), step):
        some = slice(start, start + step)
        yield pairs[some], _after(a, of_a[some]), _after(b, of_b[some])


def _after(run: Other, positions: list[int]) -> Float[np.ndarray, "pos token"]:
    logits = run.model.logits_of(run.trace.layers[-1].resid_post[positions])
    return log_softmax(logits.astype(np.float64))


def _lens_log_probs(
    a: Other, b: Other, pair: tuple[int, int], points: tuple[Point, ...]
) -> tuple[Float[np.ndarray, "point token"], Float[np.ndarray, "point token"]]:
    rows = []
    for run, pos in zip((a, b), pair, strict=True):
        vectors = stream_at(run.trace, points, slice(pos, pos + 1 or None))[:, 0]
        rows.append(log_softmax(run.model.logits_of(vectors).astype(np.float64)))
    return rows[0], rows[1]


def _for_good(differs: np.ndarray) -> int | None:
    """The first of the points at the end that all differ."""
    if not differs[-1]:
        return None
    return len(differs) - int(np.argmin(differs[::-1])) if not differs.all() else 0
