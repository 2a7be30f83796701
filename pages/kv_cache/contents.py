"""What is in the cache? Its tensors, how it grows, what a step reads of it, and the numbers."""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.experiments.race import SideBySide
from model_hooks.read.cache_sizes import CacheSizes
from model_hooks.read.cached import (
    CachedLayer,
    CacheKind,
    KeysAndValues,
    cached_layers,
    cached_vectors,
    weight_bytes_of_a_step,
)
from model_hooks.read.recorded import tokens_of
from pages.ask.computed import computed
from pages.kv_cache.steps import no_cache
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import check
from pages.widgets.controls import pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import CACHED, shown
from viz.kv_cache import cache_contents, cache_growth
from viz.numbers import counted, size_text

MOST_LAYERS = 8
"""Layers listed without scrolling."""
MOST_ROWS = 40
"""Positions of the cache drawn at once, the newest."""

_layers = computed(cached_layers)
_vectors = computed(cached_vectors)
_weight_bytes = computed(weight_bytes_of_a_step)
_tokens_of = computed(tokens_of)


@fragment
def draw(pair: SideBySide, model_name: str, info: ModelInfo, kind: CacheKind | None) -> None:
    """Draw the tensors that the cache holds now."""
    if not len(pair):
        st.info("There is nothing yet: take a step.")
        return
    if kind is None:
        st.info(escape_markdown(no_cache(info)))
        return
    last = pair.on.steps[-1]
    held = shown(CACHED, last.cache_bytes, model_name, last.pos, info.dtype)
    st.markdown(
        f"After {counted(len(pair), 'step')} the cache holds "
        f"**{held}**: the keys and values of "
        f"{counted(last.pos, 'position')}, in {info.dtype}. The newest token is not among them: "
        "it was picked, but has not run through the model yet."
    )
    if kind.sizes is None:
        st.info("No layer of this model keeps keys and values per position.")
        return
    _draw_layers(pair, model_name, kind.sizes)
    st.markdown(_what_decode_reads(pair, model_name, kind.sizes))
    heading("The numbers themselves")
    _draw_numbers(pair, model_name, info)


def _draw_layers(pair: SideBySide, model_name: str, sizes: CacheSizes) -> None:
    layers = _layers(model_name, pair.on.cached_ids, pair.on.interventions)
    left, right = st.columns([1.2, 1], gap="large")
    with left:
        table = table_of(layers)
        height = "content" if len(table) <= MOST_LAYERS else 250
        st.dataframe(table, hide_index=True, key="kv_cache.layers", height=height)
        st.caption("Shapes are batch × KV heads × positions × numbers per vector.")  # noqa: RUF001
        _check_sizes(pair, sizes, layers)
    with right:
        chart(
            drawing(
                cache_growth, [step.cache_bytes for step in pair.on.steps], len(pair.on.prompt_ids)
            ),
            key="kv_cache.growth",
            alt="Bytes that the cache holds after each step",
        )


def table_of(layers: tuple[CachedLayer | None, ...]) -> pd.DataFrame:
    """Return the tensors that a cache holds per layer."""
    rows = [
        (i, "none", "none", "", None)
        if layer is None
        else (i, _shape(layer.key_shape), _shape(layer.value_shape), layer.dtype, layer.n_bytes)
        for i, layer in enumerate(layers)
    ]
    return pd.DataFrame(rows, columns=["Layer", "Keys", "Values", "Stored as", "Bytes"])


def _shape(sizes: tuple[int, ...]) -> str:
    return " × ".join(map(str, sizes))  # noqa: RUF001


def _check_sizes(
    pair: SideBySide, sizes: CacheSizes, layers: tuple[CachedLayer | None, ...]
) -> None:
    """Compare what the formula gives with what the tensors take."""
    last = pair.on.steps[-1]
    expected = sizes.n_bytes(last.pos)
    taken = sum(layer.n_bytes for layer in layers if layer is not None)
    gives = f"by arithmetic, {formula(sizes, last.pos)} = {counted(expected, 'byte')}"
    states = f" With the states of other layers, the cache takes {last.cache_bytes:,}."
    check(
        expected == taken,
        f"{gives}, just what the tensors take." + states * (last.cache_bytes != taken),
        f"{gives}; the tensors take {taken:,}.",
    )


def formula(sizes: CacheSizes, n_positions: int) -> str:
    """Write the product that gives the bytes of a cache, where all layers are alike."""
    n_layers, first = len(sizes.layers), sizes.layers[0]
    if len(set(sizes.layers)) > 1 or first.d_key != first.d_value or first.window:
        return f"summed over {counted(n_layers, 'layer')}"
    factors = (
        "2",
        counted(n_layers, "layer"),
        counted(first.n_kv_heads, "KV head"),
        counted(first.d_key, "number"),
        f"{first.bytes_per_number} bytes",
        counted(n_positions, "position"),
    )
    return " × ".join(factors)  # noqa: RUF001


def _what_decode_reads(pair: SideBySide, model_name: str, sizes: CacheSizes) -> str:
    weights = size_text(_weight_bytes(model_name))
    kept = size_text(pair.on.steps[-1].cache_bytes)
    each = shown(CACHED, sizes.n_bytes(1), model_name, 1, sizes.dtype)
    return (
        f"**What one decode step reads**: all kept keys and values, **{kept}**, and every weight "
        f"of a matrix product, **{weights}**. Then it adds {each} to the "
        "cache. The longer the text, the more is read of the cache; the weights stay the same."
    )


def _draw_numbers(pair: SideBySide, model_name: str, info: ModelInfo) -> None:
    layer_box, head_box = st.columns([1.4, 1])
    with layer_box:
        layer = pick_layer(info, only_attention=True)
    kept: KeysAndValues | None = _vectors(
        model_name, pair.on.cached_ids, layer, pair.on.interventions
    )
    if kept is None:
        st.info(f"Layer {layer} keeps nothing of its own: it reads what another layer kept.")
        return
    head = bind(
        head_box.selectbox,
        "KV head",
        "kv_cache.kv_head",
        options=range(len(kept.key)),
        help="Each keeps one key and one value vector per position. With grouped-query "
        "attention, several query heads read the same one.",
    )
    end = pair.on.steps[-1].pos
    labels = [visible(token) for token in _tokens_of(model_name, pair.on.token_ids)[:end]]
    _draw_vectors(kept, layer, head, labels)


def _draw_vectors(kept: KeysAndValues, layer: int, head: int, labels: list[str]) -> None:
    key, value, end = kept.key[head], kept.value[head], len(labels)
    first = max(0, len(key) - MOST_ROWS)
    start = end - len(key) + first
    chart(
        drawing(cache_contents, key[first:], value[first:], labels[start:], start=start),
        key="kv_cache.contents",
        alt=f"Keys and values of layer {layer}, KV head {head}, {counted(end - start, 'position')}",
    )
    st.caption(
        "One row per position; each decode step adds one at the bottom and changes none above."
        + (f" The newest {MOST_ROWS} rows are shown." if first else "")
    )
    numbers_from(
        None,
        kept.key.shape,
        f"`past_key_values.layers[{layer}]`, keys and values, colours to the 98th percentile",
        layer,
    )
    csv_button(lambda: vectors_of(key, value, end), "kv_cache_contents")


def vectors_of(
    key: Float[np.ndarray, "pos d_key"], value: Float[np.ndarray, "pos d_value"], end: int
) -> pd.DataFrame:
    """Return the keys and values of one head, one position per line, the last before `end`."""
    table: dict[str, object] = {"position": range(end - len(key), end)}
    table |= {f"key_{i}": key[:, i] for i in range(key.shape[1])}
    table |= {f"value_{i}": value[:, i] for i in range(value.shape[1])}
    return pd.DataFrame(table)
