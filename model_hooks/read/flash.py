"""How does FlashAttention walk through one head, tile by tile, and what does it move?

Dao et al. 2022, "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness".
Plain NumPy on recorded queries, keys and values: it shows what the kernel does, and is not fast.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from model_hooks.arrays import check_count, read_only
from model_hooks.errors import PromptError
from model_hooks.read.arithmetic import head_vectors
from model_hooks.read.tail import after_softcap
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class TileStep:
    """One tile of queries meets one tile of keys: lines 8 to 13 of Algorithm 1.

    `before` and `after` are what slow memory holds for these queries; the symbols are the paper's.
    """

    queries: slice
    keys: slice
    scores: Float[np.ndarray, "row column"]
    """S: q · k times the scale; -inf where masked."""
    tile_max: Float[np.ndarray, "row"]
    """m~: the largest score of each row of this tile."""
    tile_weights: Float[np.ndarray, "row column"]
    """P~ = exp(S - m~), not yet divided by anything."""
    tile_sum: Float[np.ndarray, "row"]
    """l~: the sum of each row of P~."""
    max_before: Float[np.ndarray, "row"]
    max_after: Float[np.ndarray, "row"]
    """m: the largest score seen so far."""
    sum_before: Float[np.ndarray, "row"]
    sum_after: Float[np.ndarray, "row"]
    """l: the sum of exp(score - m) over all keys seen so far."""
    output_before: Float[np.ndarray, "row d_value"]
    output_after: Float[np.ndarray, "row d_value"]
    """O: softmax over the keys seen so far, times their values."""
    moved: int
    """Numbers read from and written to slow memory in this step."""

    @property
    def kept(self) -> Float[np.ndarray, "row"]:
        """What the old sum is multiplied with, exp(m_before - m_after): 1 if the maximum stays."""
        return _exp_of_difference(self.max_before, self.max_after)


@dataclass(frozen=True, eq=False)
class FlashWalk:
    """All steps over one head, and the output they end in."""

    n_positions: int
    rows: int
    """Queries per tile, the paper's B_r."""
    columns: int
    """Keys per tile, B_c."""
    steps: tuple[TileStep, ...]
    n_skipped: int
    """Tiles in which the mask lets nothing be read: they are never loaded."""
    output: Float[np.ndarray, "pos d_value"]
    expected: Float[np.ndarray, "pos d_value"]
    """The head's output by the model's own attention weights."""

    @property
    def difference(self) -> float:
        """Largest difference between the two."""
        return float(np.abs(self.output - self.expected).max())

    @property
    def moved(self) -> int:
        """Numbers read from and written to slow memory in all."""
        start = self.output.size + 2 * self.n_positions
        return start + sum(step.moved for step in self.steps)

    def distances(self) -> Float[np.ndarray, "step"]:
        """Return how far the whole output is from the expected one after each step.

        The largest difference over all rows and columns; before the first step, all is zero.
        """
        far = np.abs(self.expected).max(-1)
        found = []
        for step in self.steps:
            gap = np.abs(step.output_after - self.expected[step.queries])
            far[step.queries] = gap.max(-1)
            found.append(far.max())
        return np.array(found, dtype=self.output.dtype)


def flash_walk(trace: Trace, layer: int, head: int, rows: int, columns: int) -> FlashWalk | None:
    """Walk through one head of a trace; None where its queries and keys were not recorded.

    Args:
        trace: A recorded text.
        layer: The layer.
        head: The query head.
        rows: Queries per tile.
        columns: Keys per tile.

    Raises:
        LayerError: The layer has no attention, or lacks that head.
        PromptError: A tile is empty.
    """
    rows = check_count("rows", rows, PromptError, 1)
    columns = check_count("columns", columns, PromptError, 1)
    vectors, pattern = head_vectors(trace, layer, head), trace.attention(layer, head)
    if vectors is None:
        return None
    steps, output, n_skipped = walk_tiles(
        vectors.query,
        vectors.key,
        vectors.value,
        trace.layer_at(layer).readable,
        rows,
        columns,
        vectors.scale,
        vectors.softcap,
    )
    return FlashWalk(
        n_positions=len(vectors.query),
        rows=rows,
        columns=columns,
        steps=steps,
        n_skipped=n_skipped,
        output=output,
        expected=read_only(pattern @ vectors.value),
    )


def walk_tiles(
    query: Float[np.ndarray, "pos d_head"],
    key: Float[np.ndarray, "pos d_head"],
    value: Float[np.ndarray, "pos d_value"],
    readable: Bool[np.ndarray, "pos pos"],
    rows: int,
    columns: int,
    scale: float,
    softcap: float | None = None,
) -> tuple[tuple[TileStep, ...], Float[np.ndarray, "pos d_value"], int]:
    """Follow Algorithm 1 of Dao et al. 2022: tiles of keys outside, tiles of queries inside.

    Returns:
        The steps, the output they end in, and the number of tiles that the mask left out.

    Raises:
        ValueError: A tile is empty.
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"tiles of {rows} x {columns} are empty: choose 1 x 1 or more")
    n_positions, d_value = len(query), value.shape[1]
    slow = _SlowMemory.empty(n_positions, d_value, np.result_type(query, np.float32))
    steps: list[TileStep] = []
    n_skipped = 0
    for keys in _slices(n_positions, columns):
        loads = key[keys].size + value[keys].size  # K_j and V_j, once per outer round
        for queries in _slices(n_positions, rows):
            allowed = readable[queries, keys]
            if not allowed.any():
                n_skipped += 1
                continue
            scores = _scores(query[queries], key[keys], allowed, scale, softcap)
            # Q_i, O_i, l_i and m_i are read; O_i, l_i and m_i are written.
            moved = loads + query[queries].size + len(scores) * (2 * d_value + 4)
            steps.append(slow.meet(queries, keys, scores, value[keys], moved))
            loads = 0
    return tuple(steps), slow.output, n_skipped


@dataclass
class _SlowMemory:
    """What is kept of each query while tiles come and go."""

    largest: Float[np.ndarray, "pos"]
    total: Float[np.ndarray, "pos"]
    output: Float[np.ndarray, "pos d_value"]

    @classmethod
    def empty(cls, n_positions: int, d_value: int, dtype: np.dtype) -> "_SlowMemory":
        return cls(
            np.full(n_positions, -np.inf, dtype),
            np.zeros(n_positions, dtype),
            np.zeros((n_positions, d_value), dtype),
        )

    def meet(
        self,
        queries: slice,
        keys: slice,
        scores: Float[np.ndarray, "row column"],
        value: Float[np.ndarray, "column d_value"],
        moved: int,
    ) -> TileStep:
        """Let a tile of queries meet a tile of keys: lines 10 to 13, softmax without a second pass.

        The output is mixed from old and new parts, each weighted by its share of the new sum.
        """
        scores = scores.astype(self.output.dtype)
        tile_max = scores.max(-1)
        tile_weights = _exp_of_difference(scores, tile_max[:, None])
        tile_sum = tile_weights.sum(-1)
        max_before, sum_before = self.largest[queries].copy(), self.total[queries].copy()
        output_before = self.output[queries].copy()
        max_after = np.maximum(max_before, tile_max)
        old = _exp_of_difference(max_before, max_after) * sum_before
        factor = _exp_of_difference(tile_max, max_after)
        sum_after = old + factor * tile_sum
        mixed = old[:, None] * output_before + factor[:, None] * (tile_weights @ value)
        output_after = np.divide(
            mixed, sum_after[:, None], out=np.zeros_like(mixed), where=sum_after[:, None] > 0
        )
        self.largest[queries], self.total[queries] = max_after, sum_after
        self.output[queries] = output_after
        return TileStep(
            queries=queries,
            keys=keys,
            scores=scores,
            tile_max=tile_max,
            tile_weights=tile_weights,
            tile_sum=tile_sum,
            max_before=max_before,
            max_after=max_after,
            sum_before=sum_before,
            sum_after=sum_after,
            output_before=output_before,
            output_after=output_after,
            moved=moved,
        )


def _slices(n_positions: int, size: int) -> Iterator[slice]:
    for first in range(0, n_positions, size):
        yield slice(first, min(first + size, n_positions))


def _scores(
    query: Float[np.ndarray, "row d_head"],
    key: Float[np.ndarray, "column d_head"],
    allowed: Bool[np.ndarray, "row column"],
    scale: float,
    softcap: float | None,
) -> Float[np.ndarray, "row column"]:
    return np.where(allowed, after_softcap(query @ key.T * scale, softcap), -np.inf)


def standard_accesses(n_positions: int, d_head: int) -> int:
    """Return how many numbers standard attention moves to and from slow memory, per head.

    Dao et al. 2022, Algorithm 0: Q and K are read, S written, S read, P written, P and V read, O
    written: 4 n d + 4 n². No mask is used to save anything.
    """
    return 4 * n_positions * d_head + 4 * n_positions**2


def tiled_accesses(n_positions: int, d_head: int, columns: int) -> int:
    """Return how many numbers tiled attention moves to and from slow memory, per head.

    Dao et al. 2022, Algorithm 1: O, l and m are set (n d + 2 n), K and V read once (2 n d), and for
    each of T_c = ceil(n / columns) tiles of keys, Q, O, l and m are read, O, l and m written
    (3 n d + 4 n). With columns = M / 4d, this is of the order n² d² / M (Theorem 2). No mask is
    used to save anything.

    Args:
        n_positions: Length of the text, n.
        d_head: Width of a head, d.
        columns: Keys per tile, B_c.
    """
    n_tiles = -(-n_positions // columns)
    return 3 * n_positions * d_head + 2 * n_positions + n_tiles * n_positions * (3 * d_head + 4)


def tile_sizes(d_head: int, fast_memory: int) -> tuple[int, int]:
    """Return rows and columns of the tiles that fit into fast memory.

    Dao et al. 2022, Algorithm 1, line 1: B_c = ceil(M / 4d), B_r = min(B_c, d).

    Args:
        d_head: Width of a head, d.
        fast_memory: How many numbers fit, M.

    Raises:
        ValueError: Fast memory holds nothing.
    """
    if fast_memory < 1:
        raise ValueError(f"a fast memory of {fast_memory} numbers holds no tile")
    columns = math.ceil(fast_memory / (4 * d_head))
    return min(columns, d_head), columns


def _exp_of_difference(
    value: Float[np.ndarray, "..."], largest: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """exp(value - largest); 0 where nothing was read yet, so that both are -inf."""
    known = np.where(np.isneginf(largest), 0, largest)
    return np.exp(value - known)
