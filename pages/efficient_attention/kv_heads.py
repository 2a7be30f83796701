"""What does the model save and lose if its query heads share fewer keys and values?"""

import streamlit as st

from model_hooks import ModelInfo, ShareKVHeads
from model_hooks.read.attention_cost import HeadSizes, KVSharing, kv_sharing
from model_hooks.run.interventions import kv_group_choices
from pages.ask.computed import computed
from pages.efficient_attention import twins
from pages.efficient_attention.loss import (
    Losses,
    draw_next_token,
    loss_metric,
    loss_note,
    losses,
)
from pages.efficient_attention.subject import ARITHMETIC, MEASURED, Subject
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.controls import pick_head
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.quantity import CACHED, shown
from viz import head_sharing
from viz.numbers import counted, percent_change, size_text

SHARING_HELP = """
Each **query head** asks its own questions, but several may share the keys and values they read:
- **Multi-head** (Vaswani et al. 2017): as many KV heads as query heads.
- **Multi-query** (Shazeer 2019): one KV head for all.
- **Grouped-query** (Ainslie et al. 2023): something in between.

The KV cache holds keys and values only, so it shrinks with the KV heads.
"""
POOLING_HELP = (
    "Neighbouring KV heads are replaced by their mean, as Ainslie et al. 2023 (section 2.1) turn a "
    "multi-head model into a grouped one. They then train it a little more; here nothing is "
    "trained, so you see the raw damage."
)

_sharing = computed(kv_sharing)


def draw(subject: Subject) -> None:
    """Draw the tab."""
    sharing: KVSharing = _sharing(*subject.asked)
    sizes = sharing.sizes
    st.markdown(in_words(sizes), help=SHARING_HELP)
    n_groups = _pick_groups(sizes)
    head = pick_head(subject.info) if subject.info.n_heads > 1 else 0
    chart(
        drawing(head_sharing, sizes.n_heads, sizes.n_kv_heads, n_groups, selected=head),
        key="efficient_sharing",
        alt=f"{sizes.n_heads} query heads read {sizes.n_kv_heads} KV heads in {n_groups} groups",
    )
    st.caption(provenance(sharing, subject.info))
    if n_groups < sizes.n_kv_heads and (found := losses(subject.asked, ShareKVHeads(n_groups))):
        _saved(subject, sharing, n_groups / sizes.n_kv_heads, found)
        heading("The next token")
        draw_next_token(
            subject.asked,
            ShareKVHeads(n_groups),
            f"with {counted(n_groups, 'KV head')}",
            key="efficient_kv_heads",
            last_token=subject.labels[-1],
        )
    twins.draw()


def in_words(sizes: HeadSizes) -> str:
    """Say how a model's query heads share keys and values."""
    n_heads, n_kv_heads = sizes.n_heads, sizes.n_kv_heads
    if n_kv_heads == n_heads:
        return (
            f"This model has **multi-head** attention: each of its {n_heads} query heads has a KV "
            "head of its own."
        )
    if n_kv_heads == 1:
        return (
            f"This model has **multi-query** attention: all {n_heads} query heads read the same "
            "keys and values."
        )
    return (
        f"This model has **grouped-query** attention: {n_heads} query heads, but only {n_kv_heads} "
        f"KV heads, so {n_heads // n_kv_heads} neighbours share one."
    )


def provenance(sharing: KVSharing, info: ModelInfo) -> str:
    """Say where the numbers of heads come from."""
    if sharing.query_shape is None or sharing.key_shape is None:
        return ":material/database: head counts of the model's config"
    sizes = sharing.sizes
    agrees = (sizes.n_heads, sizes.n_kv_heads) == (info.n_heads, info.n_kv_heads)
    return (
        f":material/database: recorded in `{sharing.path}`: queries `{list(sharing.query_shape)}`, "
        f"keys `{list(sharing.key_shape)}` (heads, tokens, width)" + "; the config agrees" * agrees
    )


def _pick_groups(sizes: HeadSizes) -> int:
    """Let the reader choose into how many groups KV heads are pooled."""
    choices = kv_group_choices(sizes.n_kv_heads)
    if len(choices) == 1:
        st.info(
            "One KV head per layer is as few as there can be, so there is nothing left to share.",
            icon=":material/info:",
        )
        return sizes.n_kv_heads
    return bind(
        st.select_slider,
        "KV heads left after averaging",
        "efficient_attention.groups",
        options=choices,
        when_none=choices[-2],
        format_func=lambda n: f"{n} (as it is)" if n == sizes.n_kv_heads else str(n),
        help=POOLING_HELP,
    )


def _saved(subject: Subject, sharing: KVSharing, left: float, found: Losses) -> None:
    """Show what averaging KV heads saves and costs."""
    per_token, n_tokens = sharing.bytes_per_token, len(subject.tokens)
    name, dtype = subject.info.name, subject.info.dtype
    each = shown(CACHED, per_token, name, 1, dtype)
    all_of_it = shown(CACHED, per_token * n_tokens, name, n_tokens, dtype)
    with st.container(horizontal=True, gap="large"):
        _smaller(
            "KV cache per token",
            per_token,
            left,
            f"All layers together, in {dtype}. As it is: {each}.",
        )
        _smaller(
            f"For this prompt ({counted(n_tokens, 'token')})",
            per_token * n_tokens,
            left,
            f"In {dtype}. As it is: {all_of_it}. A sliding window keeps less.",
        )
        loss_metric(found)
    st.caption(
        f"{ARITHMETIC} The cache follows from the shapes. {MEASURED} The loss and the chart come "
        "from a run in which keys and values are averaged as soon as they are computed."
        + loss_note(found)
    )


def _smaller(label: str, n_bytes: int, left: float, help_text: str) -> None:
    st.metric(
        label,
        size_text(n_bytes * left),
        percent_change(left - 1),
        delta_color="inverse",
        width="content",
        help=help_text,
    )
