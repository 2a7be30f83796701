"""What does attention compute and keep of a text, and what would a pattern leave of that?"""

from typing import NamedTuple

import numpy as np

from model_hooks.info import ModelInfo
from model_hooks.model import HookedModel
from model_hooks.run.interventions import AttentionPattern
from model_hooks.run.trace import LayerTrace, Trace

ROWS_AT_ONCE = 256


class Change(NamedTuple):
    """A number as it is, and with a change."""

    before: int
    after: int

    @property
    def share(self) -> float | None:
        """The one as a part of the other; None where there was nothing before."""
        return self.after / self.before if self.before else None


class PatternCosts(NamedTuple):
    """What attention costs on a text, and what it would cost under a pattern."""

    pairs: Change
    """Pairs of a query and a key that it may read, counted for one head in each layer."""
    flops: Change
    """Operations of the scores and weighted sums of these pairs in all heads."""
    cached_bytes: Change
    """Bytes of the keys and values that a later token may still read."""


class HeadSizes(NamedTuple):
    """The sizes of attention in one layer."""

    n_heads: int
    n_kv_heads: int
    d_key: int
    d_value: int

    @property
    def flops_per_pair(self) -> int:
        """Operations for one query and one key, all heads: a score and a weighted value."""
        return 2 * self.n_heads * (self.d_key + self.d_value)

    @property
    def numbers_cached(self) -> int:
        """How many numbers a KV cache keeps of one token."""
        return self.n_kv_heads * (self.d_key + self.d_value)


class KVSharing(NamedTuple):
    """How query heads share keys and values in a run."""

    sizes: HeadSizes
    """Of the first layer that has attention."""
    path: str | None
    """The module of that attention."""
    query_shape: tuple[int, ...] | None
    """Of its queries, (head, pos, d_head); None where only the config tells of heads."""
    key_shape: tuple[int, ...] | None
    bytes_per_token: int
    """What a KV cache keeps of each token in all layers."""


def pattern_costs(model: HookedModel, trace: Trace, pattern: AttentionPattern) -> PatternCosts:
    """Count what a run's attention computes and keeps, and what a pattern would leave of it.

    The pattern is laid over what the run itself let each query read.
    """
    info, n_tokens, full = model.info, len(trace), AttentionPattern("full")
    pairs, flops, cached = [0, 0], [0, 0], [0, 0]
    counted: dict[tuple, int] = {}
    for layer in trace.attention_layers:
        recorded = trace.layers[layer]
        here = pattern if pattern.acts_in(layer) else full
        sizes = head_sizes(recorded, info)
        for i, shape in enumerate((full, here)):
            same = recorded.mask_id, shape
            if same not in counted:
                counted[same] = _n_pairs(recorded, shape, n_tokens)
            n_pairs = counted[same]
            n_kept = shape.n_cached(n_tokens, info.sliding_window[layer])
            pairs[i] += n_pairs
            flops[i] += n_pairs * sizes.flops_per_pair
            cached[i] += n_kept * sizes.numbers_cached * info.bytes_per_number
    return PatternCosts(Change(*pairs), Change(*flops), Change(*cached))


def _n_pairs(recorded: LayerTrace, pattern: AttentionPattern, n_tokens: int) -> int:
    """Count what both let be read, some rows at a time: all pairs of a long text fill memory."""
    n_pairs, keys = 0, np.arange(n_tokens, dtype=np.int32)
    for start in range(0, n_tokens, ROWS_AT_ONCE):
        rows = keys[start : start + ROWS_AT_ONCE, None]
        own = recorded.readable_rows(start, start + len(rows))
        n_pairs += int((own & pattern.lets_read(rows, keys)).sum())
    return n_pairs


def kv_sharing(model: HookedModel, trace: Trace) -> KVSharing:
    """Return how the query heads of a run share keys and values."""
    first = trace.attention_layers[0]
    recorded = trace.layers[first]
    per_layer = [head_sizes(trace.layers[i], model.info) for i in trace.attention_layers]
    numbers = sum(sizes.numbers_cached for sizes in per_layer)
    return KVSharing(
        sizes=per_layer[0],
        path=model.anatomy.blocks[first].attention_path,
        query_shape=None if recorded.query is None else recorded.query.shape,
        key_shape=None if recorded.key is None else recorded.key.shape,
        bytes_per_token=numbers * model.info.bytes_per_number,
    )


def head_sizes(recorded: LayerTrace, info: ModelInfo) -> HeadSizes:
    """Read the sizes of a layer's heads from what was recorded, else from the config."""
    if recorded.query is None or recorded.key is None or recorded.value is None:
        return HeadSizes(info.n_heads, info.n_kv_heads, info.d_head, info.d_head)
    n_heads, _, d_key = recorded.query.shape
    return HeadSizes(n_heads, len(recorded.key), d_key, recorded.value.shape[-1])
