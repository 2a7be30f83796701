"""What does each head do? All heads at a glance, their scores, and what one of them adds."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from model_hooks.arrays import check_count, check_index
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.arithmetic import (
    OutputProjection,
    head_outputs,
    output_projection,
    value_norms,
)
from model_hooks.read.patterns import (
    entropy_bits,
    first_token_score,
    induction_score,
    mean_distance,
    previous_token_score,
    readable_keys,
    rollout_step,
    same_token_score,
)
from model_hooks.read.recorded import attention_of_heads
from model_hooks.run.trace import Trace

Score = Callable[..., Float[np.ndarray, "head"]]
SCORES: dict[str, Score] = {
    "previous_token": lambda attention, _: previous_token_score(attention),
    "first_token": lambda attention, _: first_token_score(attention),
    "same_token": same_token_score,
    "induction": induction_score,
    "entropy_bits": lambda attention, _: entropy_bits(attention),
    "distance": lambda attention, _: mean_distance(attention),
}
"""By name: what is computed from a layer's attention and the token IDs."""


class HeadScores(NamedTuple):
    """How strongly each head of each layer that has attention does each thing."""

    layers: tuple[int, ...]
    """The number of each row's layer."""
    scores: dict[str, Float[np.ndarray, "layer head"]]
    """By the names of `SCORES`; NaN where the text gives nothing to measure."""


class HeadTiles(NamedTuple):
    """The attention patterns of all heads, small enough to be sent."""

    layers: tuple[int, ...]
    """The number of each row's layer."""
    tiles: UInt8[np.ndarray, "layer head size size"]
    """0 is a masked key; a weight is 1 + 254 * its square root."""


class Added(NamedTuple):
    """What the heads of a layer add to one position, put together and checked."""

    path: str
    """The output projection's."""
    d_value: int
    head_norms: Float[np.ndarray, "head"]
    """Size of what each head adds to the residual stream."""
    recorded: Float[np.ndarray, "d_model"]
    """What the model recorded as added by the layer's attention."""
    difference: float
    """Largest difference between the sum over all heads, with the bias, and that record."""


def head_scores(trace: Trace) -> HeadScores:
    """Measure what every head does on this text."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    for attention in _each_layer(trace):
        for name, score in SCORES.items():
            rows[name].append(score(attention, trace.token_ids))
    return HeadScores(trace.attention_layers, {name: np.stack(row) for name, row in rows.items()})


def head_tiles(trace: Trace, n_bytes: int, size: int, start: int, stop: int) -> HeadTiles | None:
    """Shrink the attention patterns of all heads to bytes, max-pooled where there are many.

    Pooling by the maximum keeps a single strong weight visible.

    Args:
        trace: The run.
        n_bytes: What all tiles together may take.
        size: The largest size of a tile, in pixels.
        start: The first position in the tiles.
        stop: The one after the last.

    Returns:
        None where no layer has attention.

    Raises:
        PromptError: No byte, or no pixel, may be taken, or the trace lacks such positions.
    """
    n_bytes = check_count("n_bytes", n_bytes, PromptError, 1)
    size = check_count("size", size, PromptError, 1)
    trace.check_positions(start, stop)
    layers, pooled = trace.attention_layers, []
    for layer in layers:
        attention = trace.attention_rows(layer, start, stop)[:, :, start:stop]
        most = int((n_bytes / (len(layers) * len(attention))) ** 0.5)
        pooled.append(shrunk(attention, max(1, min(size, most))))
    return HeadTiles(layers, np.stack(pooled)) if layers else None


def shrunk(
    attention: Float[np.ndarray, "head pos pos"], size: int
) -> UInt8[np.ndarray, "head size size"]:
    """Return attention patterns as the bytes of `HeadTiles`, max-pooled to at most `size`."""
    n_tokens = attention.shape[-1]
    starts = np.arange(min(n_tokens, size))
    starts = starts * n_tokens // len(starts)
    weights = np.sqrt(np.clip(np.nan_to_num(attention), 0, 1)) * 254 + 1.5
    shown = np.where(readable_keys(attention), weights, 0).astype(np.uint8)
    rows = np.maximum.reduceat(shown, starts, axis=-2)
    return np.maximum.reduceat(rows, starts, axis=-1)


def weights_of_query(trace: Trace, layer: int, pos: int) -> Float[np.ndarray, "head key"]:
    """Return what every head of a layer attends to from one position: its keys up to itself.

    Raises:
        LayerError: There is no such layer, or it has no attention.
    """
    return trace.attention_rows(layer, pos, pos + 1)[:, 0, : pos + 1]


class Look(NamedTuple):
    """One head that reads one token."""

    layer: int
    head: int
    key: int
    """The position that is read."""
    weight: float


def sharpest_look(trace: Trace, pos: int) -> Look | None:
    """Return the head that puts most weight on one earlier token, seen from a position.

    The first token does not count: heads leave there what they have no use for (Xiao et al. 2023,
    attention sinks). None where nothing else is earlier, or no layer has attention.

    Raises:
        PromptError: The text has no such position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    found = []
    for layer in trace.attention_layers if pos > 1 else ():
        rows = trace.attention_rows(layer, pos, pos + 1)[:, 0, 1:pos]
        head, key = np.unravel_index(rows.argmax(), rows.shape)
        found.append(Look(layer, int(head), int(key) + 1, float(rows[head, key])))
    return max(found, key=lambda look: look.weight, default=None)


def sizes_read(
    model: HookedModel, trace: Trace, layer: int, head: int | None, start: int, stop: int
) -> Float[np.ndarray, "row row"] | None:
    """Return the size of what each key adds to each query, ‖a · v · W_O‖; the mean over heads.

    Kobayashi et al. 2020, "Attention is Not Only a Weight", section 3.

    Args:
        model: The model.
        trace: The run.
        layer: A layer that has attention.
        head: One head; None for the mean of all.
        start: The first of the positions that are queries and keys.
        stop: The one after the last.

    Returns:
        None where what attention adds is not simply the sum of its heads.

    Raises:
        LayerError: The trace lacks that layer, or the layer that head.
        PromptError: The trace lacks such positions.
    """
    projection = output_projection(model, trace, layer)
    if projection is None:
        return None
    norms = value_norms(trace, layer, projection)
    if head is not None:
        head = check_index("head", head, len(norms), LayerError)
        norms = norms[head : head + 1]
    weights = trace.attention_rows(layer, start, stop, head)[:, :, start:stop]
    return (weights * norms[:, None, start:stop]).mean(0)


def rollout(trace: Trace, layer: int) -> Float[np.ndarray, "pos pos"] | None:
    """Return from which tokens of the text information can have come up to a layer.

    Attention rollout, Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers".

    Returns:
        None where some layer has no attention, but mixes positions in another way.

    Raises:
        LayerError: The trace lacks that layer.
    """
    layer = check_index("layer", layer, trace.n_layers, LayerError)
    if trace.attention_layers != tuple(range(trace.n_layers)):
        return None
    rolled = None
    for below in range(layer + 1):
        rolled = rollout_step(rolled, attention_of_heads(trace, below))
    return rolled


def heads_added(model: HookedModel, trace: Trace, layer: int, pos: int) -> Added | None:
    """Put the heads of a layer together at one position, and compare with what was recorded.

    Returns:
        None where what attention adds is not simply the sum of its heads.

    Raises:
        LayerError: The trace lacks that layer.
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    projection = output_projection(model, trace, layer)
    if projection is None:
        return None
    added = _added_by_heads(head_outputs(trace, layer)[:, pos], projection)
    total = added.sum(0) if projection.bias is None else added.sum(0) + projection.bias
    recorded = trace.layer_at(layer).attn_out[pos]
    return Added(
        path=projection.path,
        d_value=projection.rows.shape[1],
        head_norms=np.linalg.norm(added, axis=-1),
        recorded=recorded,
        difference=float(np.abs(total - recorded).max()),
    )


def _added_by_heads(
    outputs: Float[np.ndarray, "head d_value"], projection: OutputProjection
) -> Float[np.ndarray, "head d_model"]:
    return np.stack([out @ rows for out, rows in zip(outputs, projection.rows, strict=True)])


def _each_layer(trace: Trace) -> Iterator[Float[np.ndarray, "head pos pos"]]:
    for layer in trace.attention_layers:
        yield attention_of_heads(trace, layer)
