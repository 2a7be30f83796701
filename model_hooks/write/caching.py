"""How is a KV cache forked, cut shorter, counted and read, as if it were a value?

transformers' cache objects change in place. A fork shares the tensors, which is safe because a
dynamic cache layer makes new tensors when it grows; layers of other kinds are copied.
"""

import copy
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionCacheLayerMixin,
)

from model_hooks.arrays import to_array

_SHARED = (DynamicLayer, DynamicSlidingWindowLayer)


def fork(cache: Any) -> Any:
    """Return a cache that can grow without changing the given one."""
    if type(cache) is not DynamicCache:
        return copy.deepcopy(cache)
    other = copy.copy(cache)
    other.layers = [
        copy.copy(layer) if type(layer) in _SHARED else copy.deepcopy(layer)
        for layer in cache.layers
    ]
    return other


def shortened(cache: Any, length: int) -> Any | None:
    """Return a fork cut to its first `length` positions, or None if this kind cannot be cut.

    A layer that never kept a key stays as it is. Whether the model keeps something elsewhere is
    tried when it is loaded.
    """
    layers = getattr(cache, "layers", [])
    if not layers or any(type(layer) is not DynamicLayer for layer in layers):
        return None
    other = fork(cache)
    for layer in other.layers:
        surplus = layer.get_seq_length() - length
        if surplus > 0:
            layer.crop(-surplus)
    return other


def cache_bytes(cache: Any) -> int:
    """Return the bytes of all tensors that a cache holds: keys, values and any other state."""
    return sum(
        tensor.numel() * tensor.element_size()
        for layer in getattr(cache, "layers", [])
        for tensor in _tensors(vars(layer).values())
        if tensor.is_floating_point()
    )


def keys_and_values(
    cache: Any, layer: int
) -> tuple[Float[np.ndarray, "kv_head pos d_key"], Float[np.ndarray, "kv_head pos d_value"]] | None:
    """Return what a cache keeps of one layer; None if that is no key and value per position."""
    layers = getattr(cache, "layers", [])
    kept = layers[layer] if layer < len(layers) else None
    key, value = getattr(kept, "keys", None), getattr(kept, "values", None)
    if key is None or value is None or key.ndim != 4:
        return None
    return to_array(key[0]), to_array(value[0])


def layers_with_state(cache: Any) -> tuple[int, ...]:
    """Return the layers that keep a state of fixed size, besides keys and values or without."""
    return tuple(
        layer
        for layer, kept in enumerate(getattr(cache, "layers", []))
        if isinstance(kept, LinearAttentionCacheLayerMixin)
    )


def rows_kept(cache: Any, n_layers: int, n_cached: int) -> list[int]:
    """Return how many positions each layer can read from a cache of `n_cached` positions.

    A layer without keys of its own reads another layer's, or none: then it counts what the text
    has.
    """
    layers = list(getattr(cache, "layers", []))
    layers += [None] * (n_layers - len(layers))
    keys = [getattr(layer, "keys", None) for layer in layers[:n_layers]]
    return [n_cached if key is None or key.ndim != 4 else key.shape[2] for key in keys]


def _tensors(values: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, dict):
            found += _tensors(value.values())
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found
