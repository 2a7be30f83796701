"""How large is a KV cache: arithmetic on a model's sizes, and the sizes of some public models?

Nothing here runs a model. `sizes_of` reads the sizes from the tensors of a real cache, so that
arithmetic and measurement can be compared.
"""

import bisect
from dataclasses import dataclass, replace
from typing import Any

from model_hooks.info import ModelInfo
from model_hooks.parts.facts import cache_numbers_per_token

MOST_POSITIONS = 10**12
"""Beyond, a memory counts as never full."""


@dataclass(frozen=True)
class LayerSizes:
    """What one layer keeps of each position: a key and a value vector per KV head."""

    n_kv_heads: int
    d_key: int
    d_value: int
    bytes_per_number: int | float
    window: int | None = None
    """Positions a query may look back, itself included: a cache keeps one fewer."""

    def n_bytes(self, n_positions: int) -> int | float:
        """Return the bytes that this layer holds after `n_positions`."""
        kept = n_positions if self.window is None else min(n_positions, self.window - 1)
        numbers = cache_numbers_per_token(self.n_kv_heads, self.d_key, self.d_value)
        return kept * numbers * self.bytes_per_number


@dataclass(frozen=True)
class CacheSizes:
    """The sizes that decide how large a model's KV cache is.

    With equal layers, a cache holds 2 (key and value) x layers x KV heads x d_head x bytes per
    number for each position of each text (Kwon et al. 2023, "Efficient Memory Management for
    Large Language Model Serving with PagedAttention", section 3).
    """

    name: str
    n_heads: int
    layers: tuple[LayerSizes, ...]
    """Those that keep something."""
    context_size: int | None
    dtype: str
    source: str = ""
    """Where the sizes were read."""

    @property
    def n_kv_heads(self) -> int:
        """KV heads per layer; the most of any layer, where they differ."""
        return max(layer.n_kv_heads for layer in self.layers)

    @property
    def kind(self) -> str:
        """`multi-head`, `grouped` or `multi-query`, by how many query heads share a KV head."""
        if self.n_kv_heads >= self.n_heads:
            return "multi-head"
        return "multi-query" if self.n_kv_heads == 1 else "grouped"

    @property
    def window(self) -> int | None:
        """The longest sliding window, None if any layer keeps every position."""
        windows = [layer.window for layer in self.layers if layer.window is not None]
        return max(windows) if len(windows) == len(self.layers) else None

    def n_bytes(self, n_positions: int, batch: int = 1) -> int:
        """Return the bytes of `batch` texts of `n_positions` each."""
        return round(batch * sum(layer.n_bytes(n_positions) for layer in self.layers))

    def positions_that_fit(self, memory: int | float, batch: int = 1) -> int | None:
        """Return how many positions of each of `batch` texts fit into a memory, in bytes.

        Returns:
            None where it never fills up: every layer has a sliding window that fits.
        """
        if self.n_bytes(MOST_POSITIONS, batch) <= memory:
            return None
        positions = range(MOST_POSITIONS)
        return bisect.bisect_right(positions, memory, key=lambda n: self.n_bytes(n, batch)) - 1

    def texts_that_fit(self, memory: int | float, n_positions: int) -> int:
        """Return how many texts of `n_positions` fit into a memory, in bytes."""
        return int(memory // self.n_bytes(n_positions))

    def with_kv_heads(self, n_kv_heads: int) -> "CacheSizes":
        """Return the same model with another number of KV heads in every layer."""
        layers = tuple(replace(layer, n_kv_heads=n_kv_heads) for layer in self.layers)
        return replace(self, layers=layers)

    def stored_in(self, dtype: str) -> "CacheSizes":
        """Return the same model with keys and values in another number format of `DTYPES`."""
        layers = tuple(replace(layer, bytes_per_number=DTYPES[dtype]) for layer in self.layers)
        return replace(self, layers=layers, dtype=dtype)


DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1, "int4": 0.5}
"""Bytes per number. The last two are for quantised caches; their scales are not counted."""


def sizes_of(cache: Any, info: ModelInfo) -> CacheSizes | None:
    """Read a model's cache sizes from the tensors of a cache that it filled.

    Returns:
        None if no layer of the cache keeps keys and values.
    """
    found = [layer for layer in getattr(cache, "layers", []) if _keeps_vectors(layer)]
    if not found:
        return None
    dtype = str(found[-1].keys.dtype).removeprefix("torch.")
    layers = tuple(_layer_sizes(layer) for layer in found)
    return CacheSizes(info.name, info.n_heads, layers, info.context_size, dtype)


def _keeps_vectors(layer: Any) -> bool:
    """Whether a cache layer keeps a key and a value per position."""
    key, value = getattr(layer, "keys", None), getattr(layer, "values", None)
    return key is not None and value is not None and key.ndim == 4


def _layer_sizes(layer: Any) -> LayerSizes:
    key, value = layer.keys, layer.values
    window = getattr(layer, "sliding_window", None) if layer.is_sliding else None
    return LayerSizes(key.shape[1], key.shape[3], value.shape[3], key.element_size(), window)


def _public(
    name: str,
    repository: str,
    n_layers: int,
    n_heads: int,
    n_kv_heads: int,
    d_head: int,
    dtype: str,
    context_size: int,
    window: int | None = None,
) -> CacheSizes:
    layer = LayerSizes(n_kv_heads, d_head, d_head, DTYPES[dtype], window)
    source = f"https://huggingface.co/{repository}/blob/main/config.json"
    return CacheSizes(name, n_heads, (layer,) * n_layers, context_size, dtype, source)


PUBLIC = (
    _public("GPT-2 small", "openai-community/gpt2", 12, 12, 12, 64, "float32", 1024),
    _public("OPT 13B", "facebook/opt-13b", 40, 40, 40, 128, "float16", 2048),
    _public("Llama 2 7B", "meta-llama/Llama-2-7b-hf", 32, 32, 32, 128, "float16", 4096),
    _public(
        "Phi-3 mini 4k", "microsoft/Phi-3-mini-4k-instruct", 32, 32, 32, 96, "bfloat16", 4096, 2047
    ),
    _public(
        "Mistral 7B v0.1", "mistralai/Mistral-7B-v0.1", 32, 32, 8, 128, "bfloat16", 32768, 4096
    ),
    _public("Llama 3.1 8B", "meta-llama/Llama-3.1-8B", 32, 32, 8, 128, "bfloat16", 131072),
    _public("Llama 3.1 70B", "meta-llama/Llama-3.1-70B", 80, 64, 8, 128, "bfloat16", 131072),
    _public("Qwen2.5 7B", "Qwen/Qwen2.5-7B", 28, 28, 4, 128, "bfloat16", 131072),
    _public("Falcon 7B", "tiiuae/falcon-7b", 32, 71, 1, 64, "bfloat16", 2048),
    _public("Gemma 2B", "google/gemma-2b", 18, 8, 1, 256, "bfloat16", 8192),
)
"""Well-known models, by the `config.json` each one publishes."""
