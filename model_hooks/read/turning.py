"""How does rotation make the score of one query and one key, and which pairs does a head use?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_hooks.arrays import check_index, read_only
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.moved import at_once
from model_hooks.read.positions import positions_of
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class UnturnedPair:
    """One query and one key of a text, as they were before rotation."""

    query: Float[np.ndarray, "d_head"]
    key: Float[np.ndarray, "d_head"]
    scale: float | None
    """What their product is multiplied with; None where that is not known."""
    recorded: float
    """The score that the model computed; their mere product where the scale is not known."""
    turn_error: float
    """Largest difference between the recorded vectors and the unturned ones turned again."""


def unturned_pair(
    model: HookedModel, trace: Trace, layer: int, head: int, query_pos: int, key_pos: int
) -> UnturnedPair | None:
    """Turn one query and one key of a run back to position 0.

    Args:
        model: The model.
        trace: The run.
        layer: A layer.
        head: The query's head.
        query_pos: The query's position.
        key_pos: The key's position.

    Returns:
        None where the layer turns nothing, or its queries and keys cannot be seen.

    Raises:
        LayerError: There is no such layer, or it lacks that head.
        PromptError: The run lacks one of these positions.
    """
    query_pos = check_index("position", query_pos, len(trace), PromptError)
    key_pos = check_index("position", key_pos, len(trace), PromptError)
    layer = check_index("layer", layer, trace.n_layers, LayerError)
    rotation, compared = positions_of(model).rotations[layer], at_once(model, trace)[layer]
    if rotation is None or compared is None:
        return None
    head = check_index("head", head, compared.query.shape[1], LayerError)
    query = compared.query[0, head, query_pos]
    key = compared.key[0, compared.kv_head(head), key_pos]
    unturned = rotation.turned(query, -query_pos), rotation.turned(key, -key_pos)
    again = rotation.turned(unturned[0], query_pos), rotation.turned(unturned[1], key_pos)
    product = float(query.astype(np.float64) @ key.astype(np.float64))
    scale = trace.layers[layer].scale
    return UnturnedPair(
        query=read_only(unturned[0]),
        key=read_only(unturned[1]),
        scale=scale,
        recorded=product if scale is None else scale * product,
        turn_error=max(
            float(np.abs(a - b).max()) for a, b in zip(again, (query, key), strict=True)
        ),
    )


def pair_use(model: HookedModel, trace: Trace, layer: int) -> Float[np.ndarray, "head pair"] | None:
    """Return, per head, the share of its scores' largest possible size that each pair holds.

    A pair adds at most the product of its two lengths to a score. This product, averaged over all
    queries and the keys they may read, tells how much a head uses the pair (Barbero et al. 2024,
    "Round and Round We Go! What makes Rotary Positional Encodings useful?", section 3). What the
    dimensions without rotation can add counts in the whole, so that rows may sum to less than 1.

    Returns:
        None where the layer turns nothing, or its queries and keys cannot be seen.

    Raises:
        LayerError: There is no such layer.
    """
    layer = check_index("layer", layer, trace.n_layers, LayerError)
    rotation, compared = positions_of(model).rotations[layer], at_once(model, trace)[layer]
    if rotation is None or compared is None:
        return None
    query, key = compared.query[0], compared.key[0]
    key = np.repeat(key, len(query) // len(key), 0)
    lengths = []
    for vectors in (query, key):
        pairs = np.abs(rotation.pair_values(vectors))
        rest = np.linalg.norm(vectors[..., rotation.untouched], axis=-1)
        lengths.append(np.concatenate([pairs, rest[..., None]], -1))
    # Each query meets the keys up to its own position.
    use = (lengths[0] * np.cumsum(lengths[1], 1)).sum(1)
    total = use.sum(-1, keepdims=True)
    return read_only(np.divide(use, total, out=np.zeros_like(use), where=total > 0)[:, :-1])
