"""What does an attention pattern do, as numbers? Plain NumPy on recorded weights.

Knows nothing of models; every function takes `attention` as `trace.attention(layer)` returns it,
one pattern per head, queries in rows and keys in columns.
"""

import numpy as np
from jaxtyping import Bool, Float, Int


def readable_keys(attention: Float[np.ndarray, "head pos pos"]) -> Bool[np.ndarray, "pos pos"]:
    """Return which keys the mask let each query read.

    Softmax gives every key that may be read more than zero. So a key to which no head of the layer
    gives anything was masked: it comes later, or lies outside a sliding window.
    """
    readable = (attention > 0).any(0) & np.tri(attention.shape[-1], dtype=bool)
    return readable | np.eye(len(readable), dtype=bool)


def without_first_token(
    attention: Float[np.ndarray, "*head pos pos"], rescale: bool
) -> Float[np.ndarray, "*head pos pos"]:
    """Take away what is read from the first token, where many heads put what they have no use for.

    Xiao et al., "Efficient Streaming Language Models with Attention Sinks" (2023), section 3.1.

    Args:
        attention: Attention weights.
        rescale: Stretch what remains of each row to the sum it had. Otherwise rows no longer
            sum to 1. A row that read only the first token stays empty.
    """
    kept = attention.copy()
    kept[..., 0] = 0
    if rescale:
        before, after = attention.sum(-1, keepdims=True), kept.sum(-1, keepdims=True)
        kept = np.divide(kept * before, after, out=np.zeros_like(kept), where=after > 0)
    return kept


def previous_token_score(attention: Float[np.ndarray, "head pos pos"]) -> Float[np.ndarray, "head"]:
    """Return the weight on the token just before, averaged over all queries but the first."""
    return _mean(np.diagonal(attention, offset=-1, axis1=-2, axis2=-1))


def first_token_score(attention: Float[np.ndarray, "head pos pos"]) -> Float[np.ndarray, "head"]:
    """Return the weight on the first token, averaged over all queries but the first."""
    return _mean(attention[:, 1:, 0])


def same_token_score(
    attention: Float[np.ndarray, "head pos pos"], token_ids: Int[np.ndarray, "pos"]
) -> Float[np.ndarray, "head"]:
    """Return the weight on earlier copies of the query's token, summed over the copies.

    Averaged over the queries whose token occurred before; NaN if no token repeats.
    """
    return _mean_over(attention, _earlier_copies(token_ids))


def induction_score(
    attention: Float[np.ndarray, "head pos pos"], token_ids: Int[np.ndarray, "pos"]
) -> Float[np.ndarray, "head"]:
    """Return the weight on tokens that followed an earlier copy of the query's token.

    The prefix matching score of Olsson et al., "In-context Learning and Induction Heads" (2022),
    on this text rather than on random tokens. Averaged over the queries that have such a key;
    NaN if none has.
    """
    followers = np.zeros((len(token_ids), len(token_ids)), dtype=bool)
    followers[:, 1:] = _earlier_copies(token_ids)[:, :-1]
    return _mean_over(attention, np.tril(followers, -1))


def entropy_bits(attention: Float[np.ndarray, "head pos pos"]) -> Float[np.ndarray, "head"]:
    """Return the entropy of a query's weights in bits, averaged over all queries but the first.

    0: one key gets everything; 3: as spread out as 8 keys that share alike.
    """
    rows = attention[:, 1:]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    return _mean(-(rows * logs).sum(-1))


def mean_distance(attention: Float[np.ndarray, "head pos pos"]) -> Float[np.ndarray, "head"]:
    """Return how many tokens back a query reads, weighted by attention.

    Averaged over all queries but the first. A token that reads itself reads 0 tokens back.
    """
    pos = np.arange(attention.shape[-1], dtype=attention.dtype)
    return _mean((attention * (pos[:, None] - pos)).sum(-1)[:, 1:])


def mean_over_heads(
    attention: Float[np.ndarray, "head query key"],
) -> Float[np.ndarray, "query key"]:
    """Return the mean pattern of all heads of a layer."""
    return attention.mean(0)


def largest_of_blocks(
    pattern: Float[np.ndarray, "pos pos"], size: int
) -> Float[np.ndarray, "size size"]:
    """Shrink a pattern to at most `size` cells per side, each with the largest weight of its block.

    A single strong weight stays visible. Cells of keys that come after all their queries are NaN.
    """
    n_tokens = len(pattern)
    size = min(n_tokens, size)
    seen = np.where(np.tri(n_tokens, dtype=bool), pattern, np.nan)
    starts = np.arange(size) * n_tokens // size
    return np.fmax.reduceat(np.fmax.reduceat(seen, starts, axis=0), starts, axis=1)


def rollout_step(
    before: Float[np.ndarray, "pos pos"] | None, attention: Float[np.ndarray, "head pos pos"]
) -> Float[np.ndarray, "pos pos"]:
    """Carry attention rollout through one more layer.

    Abnar and Zuidema, "Quantifying Attention Flow in Transformers" (2020), section 4: the mean
    over heads stands for the attention sublayer, the identity for the residual stream around it,
    half each; layers are multiplied. Row i tells from which input tokens position i draws.

    Args:
        before: The rollout up to the layer before; None before the first.
        attention: The layer's attention weights.
    """
    mixing = attention.mean(0) + np.eye(attention.shape[-1], dtype=attention.dtype)
    mixing /= mixing.sum(-1, keepdims=True)
    return mixing if before is None else mixing @ before


def _earlier_copies(token_ids: Int[np.ndarray, "pos"]) -> Bool[np.ndarray, "pos pos"]:
    return np.tril(token_ids[:, None] == token_ids, -1)


def _mean_over(
    attention: Float[np.ndarray, "head pos pos"], keys: Bool[np.ndarray, "pos pos"]
) -> Float[np.ndarray, "head"]:
    """The weight on the marked keys, averaged over the queries that have any."""
    queries = keys.any(-1)
    return _mean(np.where(keys, attention, 0)[:, queries].sum(-1))


def _mean(values: Float[np.ndarray, "head query"]) -> Float[np.ndarray, "head"]:
    if values.shape[-1] == 0:
        return np.full(len(values), np.nan, dtype=values.dtype)
    return values.mean(-1)
