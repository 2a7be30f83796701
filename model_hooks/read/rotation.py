"""Which dimensions of a head turn together, and how fast (rotary position embedding, RoPE)?

Pure NumPy. A `Rotation` is found by `fit_rotation` from vectors that were seen at several
positions, so that no family's way of writing RoPE down has to be known.

Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", section 3.2.2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Complex, Float, Int

Pairing = Literal["half-split", "interleaved"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)


@dataclass(frozen=True, eq=False)
class Rotation:
    """How the queries and keys of one layer turn with their position.

    Pair j is the two dimensions `pairs[j]`. At position m it is turned by the angle
    `m * frequencies[j]` (RoFormer, equations 14 and 15). Other dimensions stay as they are.
    """

    pairs: Int[np.ndarray, "pair 2"]
    frequencies: Float[np.ndarray, "pair"]
    """Radians per position; 0 where a pair is left alone."""
    d_head: int
    pairing: Pairing
    """`half-split` joins dimension j with j + n/2 (Llama), `interleaved` neighbours (GPT-J)."""
    error: float
    """The largest distance, relative to the vector's length, between a vector that the model turned
    and the same one turned by this rotation."""

    @property
    def n_pairs(self) -> int:
        """Number of pairs of dimensions that are turned, or could be."""
        return len(self.pairs)

    @property
    def n_rotated(self) -> int:
        """Dimensions of a head that depend on the position."""
        return 2 * int((self.frequencies != 0).sum())

    @property
    def untouched(self) -> Int[np.ndarray, "d"]:
        """The dimensions that no pair holds."""
        return np.setdiff1d(np.arange(self.d_head), self.pairs)

    @property
    def wavelengths(self) -> Float[np.ndarray, "pair"]:
        """Positions until a pair has turned once around; infinite where it never turns."""
        with np.errstate(divide="ignore"):
            return 2 * np.pi / np.abs(self.frequencies)

    def turned(
        self,
        vectors: Float[np.ndarray, "... d_head"],
        positions: Float[np.ndarray, "..."] | Int[np.ndarray, "..."] | float | int,
    ) -> Float[np.ndarray, "... d_head"]:
        """Turn vectors by their positions; by their negative, turn recorded ones back."""
        angles = np.asarray(positions, dtype=np.float64)[..., None] * self.frequencies
        pairs = self.pair_values(vectors) * np.exp(1j * angles)
        turned = np.array(np.broadcast_to(vectors, (*pairs.shape[:-1], self.d_head)), np.float64)
        turned[..., self.pairs[:, 0]], turned[..., self.pairs[:, 1]] = (
            np.real(pairs),
            np.imag(pairs),
        )
        return turned

    def pair_values(
        self, vectors: Float[np.ndarray, "... d_head"]
    ) -> Complex[np.ndarray, "... pair"]:
        """Return each pair as one complex number: turning it is a product."""
        return _as_complex(vectors, self.pairs)

    def pair_products(
        self,
        query: Float[np.ndarray, "... d_head"],
        key: Float[np.ndarray, "... d_head"],
    ) -> Float[np.ndarray, "... pair"]:
        """Return what each pair adds to the product of query and key."""
        return np.real(self.pair_values(query) * np.conj(self.pair_values(key)))

    def rest_product(
        self, query: Float[np.ndarray, "d_head"], key: Float[np.ndarray, "d_head"]
    ) -> float:
        """Return what the untouched dimensions add: it does not know any position."""
        rest = self.untouched
        return float(query[rest].astype(np.float64) @ key[rest].astype(np.float64))

    def products_at(
        self,
        query: Float[np.ndarray, "d_head"],
        key: Float[np.ndarray, "d_head"],
        query_positions: Float[np.ndarray, "n"] | Int[np.ndarray, "n"],
        key_positions: Float[np.ndarray, "n"] | Int[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n"]:
        """Return the products of an unturned query and key, each turned to its positions.

        Both vectors are really turned; that only the difference of the positions matters (RoFormer,
        equation 16) is a result, not an assumption.
        """
        turned_query = self.turned(query, query_positions)
        turned_key = self.turned(key, key_positions)
        return (turned_query * turned_key).sum(-1)


def _as_complex(
    vectors: Float[np.ndarray, "... d_head"], pairs: Int[np.ndarray, "pair 2"]
) -> Complex[np.ndarray, "... pair"]:
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors[..., pairs[:, 0]] + 1j * vectors[..., pairs[:, 1]]


def paired(d_rotated: int, pairing: Pairing, first: int = 0) -> Int[np.ndarray, "pair 2"]:
    """Return which dimensions form pairs, for a block of them that begins at `first`."""
    dims = np.arange(first, first + d_rotated)
    if pairing == "interleaved":
        return dims.reshape(-1, 2)
    return dims.reshape(2, -1).T


def fit_rotation(
    start: Float[np.ndarray, "sample d_head"],
    turned: Float[np.ndarray, "pos sample d_head"],
    steps: Sequence[int],
    tolerance: float,
    known: Iterable[Float[np.ndarray, "pair"]] = (),
) -> Rotation | None:
    """Find the rotation that turns vectors as a model did, or None if none does.

    Args:
        start: Vectors at some position.
        turned: The same, some positions further.
        steps: How many: ascending, the first one too few for any pair to turn halfway around.
        tolerance: The largest relative error to accept.
        known: Frequencies that the model's own modules hold; those that agree with what was
            measured take its place, as they are more exact.
    """
    d_head = start.shape[-1]
    known = list(known)
    scale = np.linalg.norm(start, axis=-1).max() or 1.0
    changed = np.nonzero(np.abs(turned - start).max((0, 1)) > 0.1 * tolerance * scale)[0]
    if not len(changed):
        return None
    best: Rotation | None = None
    for d_rotated, first, pairing in _candidates(d_head, changed, [len(f) for f in known]):
        pairs = paired(d_rotated, pairing, first)
        frequencies = _measured(start, turned, steps, pairs)
        for exact in known:
            close = 1e-3 * np.abs(frequencies) + 2e-6
            if len(exact) == len(pairs) and (np.abs(exact - frequencies) < close).all():
                frequencies = np.asarray(exact, dtype=np.float64)
        found = Rotation(pairs, frequencies, d_head, pairing, 0.0)
        again = found.turned(start[None], np.asarray(steps)[:, None])
        gap = np.linalg.norm(again - turned, axis=-1)
        error = float((gap / np.maximum(np.linalg.norm(turned, axis=-1), 1e-12)).max())
        if best is None or error < 0.5 * best.error:
            best = Rotation(pairs, frequencies, d_head, pairing, error)
        if error <= 0.1 * tolerance:
            break
    return best if best is not None and best.error <= tolerance else None


def _candidates(
    d_head: int, changed: Int[np.ndarray, "d"], known_pairs: Sequence[int]
) -> list[tuple[int, int, Pairing]]:
    """Sizes of the rotated block, where it begins, how it pairs; the likely ones first."""
    low, high = int(changed[0]), int(changed[-1]) + 1
    sizes = [2 * n for n in known_pairs] + list(range(2, d_head + 1, 2))
    found: list[tuple[int, int, Pairing]] = []
    for size in dict.fromkeys(sizes):
        for first in dict.fromkeys((0, d_head - size)):
            if 0 <= first <= low and high <= first + size <= d_head:
                for pairing in PAIRINGS:
                    found.append((size, first, pairing))
    return found


def _measured(
    start: Float[np.ndarray, "sample d_head"],
    turned: Float[np.ndarray, "pos sample d_head"],
    steps: Sequence[int],
    pairs: Int[np.ndarray, "pair 2"],
) -> Float[np.ndarray, "pair"]:
    """Radians per position of each pair: each longer step sharpens what shorter ones gave."""
    before = _as_complex(start, pairs)
    frequencies = np.zeros(len(pairs))
    for step, vectors in zip(steps, turned, strict=True):
        angle = np.angle((_as_complex(vectors, pairs) * before.conj()).sum(0))
        full_turns = np.round((frequencies * step - angle) / (2 * np.pi))
        frequencies = (angle + 2 * np.pi * full_turns) / step
    return frequencies
