"""What does the KV cache of a model hold after a text: which tensors, how large, which numbers?"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.read.cache_sizes import CacheSizes, sizes_of
from model_hooks.run.interventions import Intervention
from model_hooks.write.caching import cache_bytes, keys_and_values, layers_with_state
from model_hooks.write.forwards import Variant

N_TRIED = 4
"""Tokens that are run to learn what kind of cache a model fills."""


class CachedLayer(NamedTuple):
    """What a cache keeps of one layer."""

    key_shape: tuple[int, ...]
    """Batch, KV heads, positions, numbers per vector."""
    value_shape: tuple[int, ...]
    dtype: str
    n_bytes: int


class KeysAndValues(NamedTuple):
    """The vectors that a cache keeps of one layer."""

    key: Float[np.ndarray, "kv_head pos d_key"]
    value: Float[np.ndarray, "kv_head pos d_value"]


@dataclass(frozen=True)
class CacheKind:
    """What kind of cache a model fills."""

    sizes: CacheSizes | None
    """None if no layer keeps a key and a value per position."""
    layers_with_state: tuple[int, ...]
    """The layers that keep a state of fixed size, besides keys and values or without."""


def cached_layers(
    model: HookedModel, token_ids: tuple[int, ...], interventions: tuple[Intervention, ...] = ()
) -> tuple[CachedLayer | None, ...]:
    """Return what a KV cache keeps of each layer after a text.

    Returns:
        None for a layer that keeps no key and value per position; empty where the model fills no
        cache that it could go on from.

    Raises:
        PromptError: The text cannot be run.
        InterventionError: This model lacks what is to be changed.
    """
    cache = _cache_after(model, token_ids, interventions)
    return tuple(_described(layer) for layer in getattr(cache, "layers", []))


def cached_vectors(
    model: HookedModel,
    token_ids: tuple[int, ...],
    layer: int,
    interventions: tuple[Intervention, ...] = (),
) -> KeysAndValues | None:
    """Return the keys and values that a KV cache keeps of one layer after a text.

    A layer with a sliding window keeps those of the newest positions only.

    Returns:
        None if the layer keeps no key and value per position, or is not there.

    Raises:
        PromptError: The text cannot be run.
        InterventionError: This model lacks what is to be changed.
    """
    if layer not in range(model.info.n_layers):
        return None
    kept = keys_and_values(_cache_after(model, token_ids, interventions), layer)
    return None if kept is None else KeysAndValues(*kept)


def cached_bytes(
    model: HookedModel, token_ids: tuple[int, ...], interventions: tuple[Intervention, ...] = ()
) -> int:
    """Return the bytes of all that a KV cache keeps after a text; 0 where there is none.

    Raises:
        PromptError: The text cannot be run.
        InterventionError: This model lacks what is to be changed.
    """
    return cache_bytes(_cache_after(model, token_ids, interventions))


@once_per_model
def cache_kind(model: HookedModel) -> CacheKind | None:
    """Return what kind of cache a model fills; None if it fills none that it could go on from."""
    n_tokens = min(N_TRIED, model.info.context_size or N_TRIED)
    _, cache = model.run_unrecorded([0] * n_tokens)
    if cache is None:
        return None
    return CacheKind(sizes_of(cache, model.info), layers_with_state(cache))


def weight_bytes_of_a_step(model: HookedModel) -> int:
    """Return the bytes of the weights that one decode step multiplies with: one position runs."""
    return model.weight_flops(1) // 2 * model.model.dtype.itemsize


def _cache_after(
    model: HookedModel, token_ids: tuple[int, ...], interventions: tuple[Intervention, ...]
) -> Any:
    """Return a KV cache of a text, the model's own if it still has it."""
    variant = Variant(True, interventions)
    cache = model.forwards.cache_for(token_ids, variant, n_after=len(token_ids))
    if cache is not None:
        return cache
    prompt_ids = model.start(token_ids, interventions=interventions).prompt_ids
    ran = model.run_recorded(prompt_ids, len(prompt_ids), None, True, interventions)
    if ran.cache is not None:
        model.forwards.keep_cache(token_ids, variant, ran.cache)
    return ran.cache


def _described(layer: Any) -> CachedLayer | None:
    key, value = getattr(layer, "keys", None), getattr(layer, "values", None)
    if key is None or value is None or key.ndim != 4:
        return None
    dtype = str(key.dtype).removeprefix("torch.")
    return CachedLayer(tuple(key.shape), tuple(value.shape), dtype, key.nbytes + value.nbytes)
