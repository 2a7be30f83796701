"""How large does the cache get, and what fits into a memory? Arithmetic on a model's sizes."""

from typing import NamedTuple

import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.read.cache_sizes import DTYPES, PUBLIC, CacheSizes
from model_hooks.read.cached import CacheKind
from pages.kv_cache.choices import Choices
from pages.state.visit import part
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from pages.widgets.quantity import CACHED, shown
from viz.kv_cache import size_bars
from viz.numbers import counted, plural, size_text

MOST = 10_000_000
USUAL_POSITIONS = 4096
"""Of a text, for a model that has no limit."""
SOURCE = (
    "bytes = 2 (key and value) x layers x KV heads x numbers per vector x bytes per number x "
    "positions x texts at once (Kwon et al. 2023, PagedAttention, section 3); layers with a "
    "sliding window keep no more than the window."
)


class Wanted(NamedTuple):
    """What is worked out: whose cache, of which texts, in what memory."""

    model: CacheSizes
    own: CacheSizes | None
    """The loaded model's."""
    is_latent: bool
    """Whether the loaded model keeps one compressed vector for all heads."""
    positions: int
    """Of each text."""
    batch: int
    stored_as: str | None
    memory: float
    """In bytes."""

    @property
    def is_own(self) -> bool:
        """Whether it is the loaded model's."""
        return self.model is self.own

    def stored(self, model: CacheSizes) -> CacheSizes:
        """Return a model with its numbers in the format that was chosen."""
        return model.stored_in(self.stored_as) if self.stored_as else model

    def name_of(self, model: CacheSizes) -> str:
        """Return a model's name, and say if it is the loaded one."""
        return (
            f"{model.name} (loaded)" if model.name == (self.own and self.own.name) else model.name
        )


@fragment
def draw(info: ModelInfo, kind: CacheKind | None) -> None:
    """Draw the extrapolation, for the loaded model and for some public ones."""
    st.markdown(
        ":material/calculate: **Arithmetic, not a measurement**: the formula of the previous tab "
        "with other numbers.",
        help=SOURCE,
    )
    wanted = _pick(info, kind.sizes if kind else None)
    st.markdown(in_words(wanted))
    for note in _notes(wanted, kind):
        st.caption(note)
    if not (wanted.is_own and wanted.is_latent):
        _draw_bars(wanted)
    heading("Other models, the same arithmetic")
    table = table_of(wanted)
    st.dataframe(
        table,
        hide_index=True,
        key="kv_cache.public",
        column_config={"Source": st.column_config.LinkColumn(display_text="config.json")},
    )
    st.caption(
        "Sizes as each model publishes them in its `config.json` on the Hugging Face Hub. "
        "Grouped and multi-query attention (Ainslie et al. 2023; Shazeer 2019) keep fewer KV heads "
        "than the model has query heads."
    )
    csv_button(table, "kv_cache_sizes")


def _pick(info: ModelInfo, own: CacheSizes | None) -> Wanted:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = _pick_model(own)
        positions = bind(
            st.number_input,
            "Positions per text",
            "kv_cache.positions",
            min_value=1,
            max_value=MOST,
            when_none=info.context_size or USUAL_POSITIONS,
            width=150,
        )
        batch = bind(
            st.number_input,
            "Texts at once",
            "kv_cache.batch",
            min_value=1,
            max_value=MOST,
            width=130,
            help="A server writes many texts in one batch; each has a cache of its own.",
        )
        bind(
            st.selectbox,
            "Stored as",
            "kv_cache.stored_as",
            options=[None, *DTYPES],
            format_func=lambda dtype: dtype or f"as published ({model.dtype})",
            width=170,
            help="int8 and int4 stand for quantised caches; their scales are not counted.",
        )
        gigabytes = bind(
            st.number_input,
            "Memory for the cache (GB)",
            "kv_cache.gigabytes",
            min_value=0.001,
            max_value=1e6,
            width=200,
            format="%.3g",
            help="What is left beside the weights.",
        )
    is_latent = own is not None and own.n_kv_heads != info.n_kv_heads
    stored_as = part(Choices).stored_as
    return Wanted(model, own, is_latent, positions, batch, stored_as, gigabytes * 1e9)


def _pick_model(own: CacheSizes | None) -> CacheSizes:
    """Let the reader choose a public model, or the loaded one if it has a cache."""
    public = {model.name: model for model in PUBLIC}
    chosen = bind(
        st.selectbox,
        "Model",
        "kv_cache.size_model",
        options=[*public] if own is None else [None, *public],
        format_func=lambda name: name or f"{own.name if own else ''} (loaded)",
        keeps=True,
        width=260,
    )
    return own if own is not None and chosen is None else public[chosen]


def in_words(wanted: Wanted) -> str:
    """Say how large the cache is, and what a memory holds."""
    stored, positions = wanted.stored(wanted.model), counted(wanted.positions, "position")
    n_bytes = stored.n_bytes(wanted.positions, wanted.batch)
    texts = () if wanted.batch == 1 else (wanted.batch,)
    held = shown(CACHED, n_bytes, stored.name, wanted.positions, stored.dtype, *texts)
    longest = stored.positions_that_fit(wanted.memory, wanted.batch)
    most = stored.texts_that_fit(wanted.memory, wanted.positions)
    length = (
        "texts of any length, thanks to the sliding windows"
        if longest is None
        else f"{_texts(wanted.batch)} of **{counted(longest, 'position')}**"
    )
    return (
        f"**{escape_markdown(wanted.name_of(stored))}**, {_texts(wanted.batch)} of {positions}: "
        f"**{held}** in {stored.dtype}. A memory of {size_text(wanted.memory)} holds {length}, or "
        f"**{most:,}** {plural(most, 'text')} of {wanted.positions:,}."
    )


def _texts(batch: int) -> str:
    return "one text" if batch == 1 else f"{batch:,} texts"


def _notes(wanted: Wanted, kind: CacheKind | None) -> list[str]:
    model, notes = wanted.model, []
    if model.source:
        notes.append(f"Sizes from the model's own [config.json]({model.source}).")
    if model.context_size is not None and wanted.positions > model.context_size:
        notes.append(
            f"That is beyond the {model.context_size:,} positions this model was made for: the "
            "arithmetic holds, but the model would not."
        )
    if wanted.is_own and kind is not None and kind.layers_with_state:
        notes.append("The states of fixed size that other layers keep are not counted.")
    if wanted.is_own and wanted.is_latent:
        notes.append(
            "This model keeps one compressed vector per position for all heads instead of keys "
            "and values per head, so there are no KV heads to share."
        )
    return notes


def _draw_bars(wanted: Wanted) -> None:
    model = wanted.stored(wanted.model)
    counts = sorted({model.n_heads, model.n_kv_heads, _some_groups(model.n_heads), 1}, reverse=True)
    others = [model.with_kv_heads(count) for count in counts]
    names = [f"{other.kind}: {counted(other.n_kv_heads, 'KV head')}" for other in others]
    sizes = [other.n_bytes(wanted.positions, wanted.batch) for other in others]
    told = (f"{name} {size:,} bytes" for name, size in zip(names, sizes, strict=True))
    chart(
        drawing(
            size_bars, names, sizes, actual=counts.index(model.n_kv_heads), memory=wanted.memory
        ),
        key="kv_cache.size_bars",
        alt="Bytes of the cache: " + ", ".join(told),
    )
    st.caption(
        f"▶ is {escape_markdown(wanted.name_of(model))} as it is, with {model.n_heads} query "
        "heads; the hatched bars are the same model with other numbers of KV heads."
    )


def _some_groups(n_heads: int) -> int:
    """Return a number of groups between all heads and one: of four heads each, if that divides."""
    return next((n_heads // size for size in (4, 2, 3) if n_heads % size == 0), 1)


def table_of(wanted: Wanted) -> pd.DataFrame:
    """Return the same arithmetic for the loaded model and all public ones, one per line."""
    models = [*([wanted.own] if wanted.own else []), *PUBLIC]
    return pd.DataFrame([_row(wanted, model) for model in models])


def _row(wanted: Wanted, model: CacheSizes) -> dict[str, object]:
    stored = wanted.stored(model)
    longest = stored.positions_that_fit(wanted.memory, wanted.batch)
    return {
        "Model": wanted.name_of(model),
        "Kind": "compressed" if model is wanted.own and wanted.is_latent else model.kind,
        "These texts": size_text(stored.n_bytes(wanted.positions, wanted.batch)),
        "Positions that fit": "any number" if longest is None else f"{longest:,}",
        "Bytes per position": f"{stored.n_bytes(1):,}",
        "Layers": len(model.layers),
        "Query heads": model.n_heads,
        "KV heads": model.n_kv_heads,
        "Per vector": stored.layers[0].d_key,
        "Stored as": stored.dtype,
        "Window": "" if model.window is None else f"{model.window:,}",
        "Source": model.source or None,
    }
