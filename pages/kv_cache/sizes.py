"""What the KV cache page works out by arithmetic: how large a cache gets, and what fits."""

import pandas as pd
import streamlit as st

from model_hooks.experiments.timing import SideBySide
from model_hooks.read.cache_sizes import DTYPES, PUBLIC, CacheSizes, sizes_of
from model_hooks.write.caching import layers_with_state
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.text import size_text
from viz.kv_cache import size_bars

MOST = 10_000_000
SOURCE = (
    "bytes = 2 (key and value) x layers x KV heads x numbers per vector x bytes per number x "
    "positions x texts at once (Kwon et al. 2023, PagedAttention, section 3); layers with a "
    "sliding window keep no more than the window."
)


@st.fragment
def draw(pair: SideBySide) -> None:
    """Draw the extrapolation, for the loaded model and for some public ones."""
    info, cache = pair.on.model.info, pair.on.cache
    own = None if cache is None else sizes_of(cache, info)
    is_latent = own is not None and own.n_kv_heads != info.n_kv_heads
    st.markdown(
        ":material/calculate: **Arithmetic, not a measurement**: the formula of the previous tab "
        "with other numbers.",
        help=SOURCE,
    )
    models = ([own] if own else []) + list(PUBLIC)
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        model = st.selectbox(
            "Model", models, key="kv_cache.size_model", persist_state="session", width=260,
            format_func=lambda m: f"{m.name} (loaded)" if m is own else m.name,
        )  # fmt: skip
        positions = st.number_input(
            "Positions per text", 1, MOST, info.context_size or 4096, width=150,
            key="kv_cache.size_positions", persist_state="session",
        )  # fmt: skip
        batch = st.number_input(
            "Texts at once", 1, MOST, 1, key="kv_cache.size_batch", width=130,
            persist_state="session", help="A server writes many texts in one batch; each has a "
            "cache of its own.",
        )  # fmt: skip
        dtype = st.selectbox(
            "Stored as", [None, *DTYPES], key="kv_cache.size_dtype", width=170,
            persist_state="session",
            format_func=lambda d: f"as published ({model.dtype})" if d is None else d,
            help="int8 and int4 stand for quantised caches; their scales are not counted.",
        )  # fmt: skip
        gigabytes = st.number_input(
            "Memory for the cache (GB)", 0.001, 1e6, 8.0, key="kv_cache.size_memory", width=200,
            persist_state="session", help="What is left beside the weights.", format="%.3g",
        )  # fmt: skip
    memory = gigabytes * 1e9
    chosen = model.stored_in(dtype) if dtype else model
    n_bytes = chosen.n_bytes(positions, batch)
    st.markdown(
        f"**{_name(chosen, own)}**, {_texts(batch)} of {positions:,} positions: "
        f"**{size_text(n_bytes)}**. {_what_fits(chosen, memory, positions, batch)}"
    )
    if model.source:
        st.caption(f"Sizes from the model's own [config.json]({model.source}).")
    if model.context_size is not None and positions > model.context_size:
        st.caption(
            f"That is beyond the {model.context_size:,} positions this model was made for: the "
            "arithmetic holds, but the model would not."
        )
    if model is own and layers_with_state(cache):
        st.caption("The states of fixed size that other layers keep are not counted.")
    if model is own and is_latent:
        st.caption(
            "This model keeps one compressed vector per position for all heads instead of keys "
            "and values per head, so there are no KV heads to share."
        )
    else:
        _bars(chosen, own, positions, batch, memory)

    st.subheader("Other models, the same arithmetic")
    table = _public_table(models, own, is_latent, dtype, positions, batch, memory)
    st.dataframe(
        table, hide_index=True, key="kv_cache.public",
        column_config={"Source": st.column_config.LinkColumn(display_text="config.json")},
    )  # fmt: skip
    st.caption(
        "Sizes as each model publishes them in its `config.json` on the Hugging Face Hub. "
        "Grouped and multi-query attention (Ainslie et al. 2023; Shazeer 2019) keep fewer KV heads "
        "than the model has query heads."
    )
    csv_button(table, "kv_cache_sizes")


def _bars(
    model: CacheSizes, own: CacheSizes | None, positions: int, batch: int, memory: float
) -> None:
    counts = sorted({model.n_heads, model.n_kv_heads, _some_groups(model.n_heads), 1}, reverse=True)
    kinds = [model.with_kv_heads(count).kind for count in counts]
    names = [
        f"{kind}: {count} KV {'head' if count == 1 else 'heads'}"
        for kind, count in zip(kinds, counts, strict=True)
    ]
    sizes = [model.with_kv_heads(count).n_bytes(positions, batch) for count in counts]
    chart(
        size_bars(names, sizes, actual=counts.index(model.n_kv_heads), memory=memory),
        key="kv_cache.size_bars",
        alt="Bytes of the cache: " + ", ".join(
            f"{name} {size:,} bytes" for name, size in zip(names, sizes, strict=True)
        ),
    )  # fmt: skip
    st.caption(
        f"▶ is {_name(model, own)} as it is, with {model.n_heads} query heads; the hatched bars "
        "are the same model with other numbers of KV heads."
    )


def _some_groups(n_heads: int) -> int:
    """Return a number of groups between all heads and one: of four heads each, if that divides."""
    return next((n_heads // size for size in (4, 2, 3) if n_heads % size == 0), 1)


def _what_fits(model: CacheSizes, memory: float, positions: int, batch: int) -> str:
    longest, most = model.positions_that_fit(memory, batch), model.texts_that_fit(memory, positions)
    length = (
        "texts of any length, thanks to the sliding windows"
        if longest is None
        else f"{_texts(batch)} of **{longest:,} positions**"
    )
    return (
        f"A memory of {size_text(memory)} holds {length}, or **{most:,}** "
        f"{'text' if most == 1 else 'texts'} of {positions:,}."
    )


def _public_table(
    models: list[CacheSizes],
    own: CacheSizes | None,
    is_latent: bool,
    dtype: str | None,
    positions: int,
    batch: int,
    memory: float,
) -> pd.DataFrame:
    rows = []
    for model in models:
        stored = model.stored_in(dtype) if dtype else model
        longest = stored.positions_that_fit(memory, batch)
        n_bytes = stored.n_bytes(positions, batch)
        first = stored.layers[0]
        rows.append(
            {
                "Model": _name(model, own),
                "Kind": "compressed" if model is own and is_latent else model.kind,
                "These texts": size_text(n_bytes),
                "Positions that fit": "any number" if longest is None else f"{longest:,}",
                "Bytes per position": f"{stored.n_bytes(1):,}",
                "Layers": len(model.layers),
                "Query heads": model.n_heads,
                "KV heads": model.n_kv_heads,
                "Per vector": first.d_key,
                "Stored as": stored.dtype,
                "Window": "" if model.window is None else f"{model.window:,}",
                "Source": model.source or None,
            }
        )
    return pd.DataFrame(rows)


def _name(model: CacheSizes, own: CacheSizes | None) -> str:
    return f"{model.name} (loaded)" if own is not None and model.name == own.name else model.name


def _texts(batch: int) -> str:
    return "one text" if batch == 1 else f"{batch:,} texts"
