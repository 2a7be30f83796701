"""Multi-head, grouped and multi-query attention, on the Efficient attention page."""

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from model_hooks import (
    InlookError,
    ModelInfo,
    ShareKVHeads,
    bundled_models,
)
from model_hooks.read.choice import surprisals
from model_hooks.run.interventions import kv_group_choices
from pages.ask.bundled import bundled_model
from pages.efficient_attention.views import (
    ARITHMETIC,
    MEASURED,
    HeadSizes,
    Prediction,
    Subject,
    head_sizes,
    itemsize_of,
    loss_metric,
    loss_note,
    next_token,
    predictions,
)
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.controls import pick_head
from pages.widgets.download import csv_button
from pages.text import escape_markdown, size_text
from viz import converted_and_trained, head_sharing

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
TWINS = ("twin-swiglu", "twin-gqa", "twin-mqa")
"""Multi-head, grouped, multi-query: alike in all else and trained alike."""
RESULTS = Path(__file__).parents[2] / "training" / "results"


def draw(subject: Subject) -> None:
    """Draw the tab."""
    info = subject.model.info
    sizes = head_sizes(subject.trace.layers[subject.trace.attention_layers[0]], info)
    st.markdown(_in_words(sizes), help=SHARING_HELP)
    n_groups = _pick_groups(sizes)
    head = pick_head(info, key="efficient.head") if info.n_heads > 1 else 0
    chart(
        head_sharing(sizes.n_heads, sizes.n_kv_heads, n_groups, selected=head),
        key="efficient.sharing",
        alt=f"{sizes.n_heads} query heads read {sizes.n_kv_heads} KV heads in {n_groups} groups",
    )
    st.caption(_provenance(subject, sizes))
    if n_groups < sizes.n_kv_heads:
        _converted(subject, sizes, n_groups)
    _twins(subject)


def _in_words(sizes: HeadSizes) -> str:
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


def _pick_groups(sizes: HeadSizes) -> int:
    """Let the reader choose into how many groups KV heads are pooled."""
    choices = kv_group_choices(sizes.n_kv_heads)
    if len(choices) == 1:
        st.info(
            "One KV head per layer is as few as there can be, so there is nothing left to share.",
            icon=":material/info:",
        )
        return sizes.n_kv_heads
    return st.select_slider(
        "KV heads left after averaging",
        choices,
        choices[-2],
        key=f"efficient.groups.{selection().model}",
        help=POOLING_HELP,
        format_func=lambda n: f"{n} (as it is)" if n == sizes.n_kv_heads else str(n),
    )


def _provenance(subject: Subject, sizes: HeadSizes) -> str:
    layer = subject.trace.attention_layers[0]
    recorded = subject.trace.layers[layer]
    if recorded.key is None:
        return ":material/database: head counts of the model's config"
    path = subject.model.anatomy.blocks[layer].attention_path
    return (
        f":material/database: recorded in `{path}`: queries `{list(recorded.query.shape)}`, keys "
        f"`{list(recorded.key.shape)}` (heads, tokens, width); the config agrees"
        if (sizes.n_heads, sizes.n_kv_heads) == _configured(subject.model.info)
        else f":material/database: recorded in `{path}`: queries `{list(recorded.query.shape)}`, "
        f"keys `{list(recorded.key.shape)}` (heads, tokens, width)"
    )


def _configured(info: ModelInfo) -> tuple[int, int]:
    return info.n_heads, info.n_kv_heads


def _converted(subject: Subject, sizes: HeadSizes, n_groups: int) -> None:
    """Show what averaging KV heads saves and costs."""
    found = predictions(subject, ShareKVHeads(n_groups))
    if found is None:
        return
    trace, info = subject.trace, subject.model.info
    numbers = sum(
        head_sizes(trace.layers[layer], info).numbers_cached for layer in trace.attention_layers
    )
    per_token = numbers * itemsize_of(subject.model)
    left = n_groups / sizes.n_kv_heads
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "KV cache per token", size_text(per_token * left), f"{left - 1:+.0%}",
            delta_color="inverse", width="content",
            help=f"All layers together, in {info.dtype}. As it is: {size_text(per_token)}.",
        )  # fmt: skip
        st.metric(
            f"For this prompt ({len(trace):,} tokens)",
            size_text(per_token * left * len(trace)), f"{left - 1:+.0%}",
            delta_color="inverse", width="content",
            help=f"As it is: {size_text(per_token * len(trace))}. A sliding window keeps less.",
        )  # fmt: skip
        loss_metric(*found)
    st.caption(
        f"{ARITHMETIC} The cache follows from the shapes. {MEASURED} The loss and the chart come "
        "from a run in which keys and values are averaged as soon as they are computed."
        + loss_note(*found)
    )
    st.subheader("The next token")
    heads = "KV head" if n_groups == 1 else "KV heads"
    next_token(subject, *found, f"with {n_groups} {heads}", key="efficient.kv_heads")


class Twin(NamedTuple):
    """A model as it is or converted, on the reader's prompt."""

    n_kv_heads: int
    how: str
    n_parameters: int | None
    cache_per_token: int
    """Bytes, all layers together."""
    bits_per_byte: float | None
    """On the validation stories, from training; None for what was converted here."""
    loss: float


@st.cache_resource(max_entries=16, show_spinner="Running the trained twins…")
def twins_on(prompt: str) -> tuple[list[Twin], int, int]:
    """Run a prompt through the twins as trained, and through the converted multi-head one.

    Returns:
        What each gives, how many tokens were run, and how many the prompt has.

    Raises:
        InlookError: The prompt cannot be run.
    """
    rows = []
    multi_head = bundled_model(TWINS[0])
    token_ids = multi_head.encode(prompt)
    run_ids = token_ids[: multi_head.info.context_size]
    trained = [
        (bundled_model(name), (), "trained that way") for name in TWINS if name in bundled_models()
    ]
    groups = [model.info.n_kv_heads for model, _, _ in trained[1:]]
    converted = [(multi_head, (ShareKVHeads(n),), "converted by averaging") for n in groups]
    for model, interventions, how in (*trained, *converted):
        info, bits = model.info, surprisals(model, model.trace(run_ids, interventions)).bits
        n_kv_heads = interventions[0].n_groups if interventions else info.n_kv_heads
        rows.append(
            Twin(
                n_kv_heads=n_kv_heads,
                how=how,
                n_parameters=None if interventions else info.n_parameters,
                cache_per_token=2 * info.n_layers * n_kv_heads * info.d_head * itemsize_of(model),
                bits_per_byte=None if interventions else _bits_per_byte(info.name),
                loss=Prediction(None, bits).loss,
            )
        )
    return rows, len(run_ids), len(token_ids)


def _bits_per_byte(name: str) -> float | None:
    """Return what training measured on the validation stories, if its results are here."""
    try:
        return float(json.loads((RESULTS / f"{name}.json").read_text())["bits_per_byte"])
    except (OSError, ValueError, KeyError):
        return None


def _twins(subject: Subject) -> None:
    """Compare converting a model with training one that way."""
    st.subheader("Converted, or trained that way?")
    bundled = bundled_models()
    if not {TWINS[0], *TWINS[1:]} & set(bundled) or TWINS[0] not in bundled:
        st.caption(
            "Inlook's small twins (multi-head, grouped and multi-query, trained alike) are not "
            "bundled in this copy, so only averaging can be shown."
        )
        return
    try:
        rows, n_run, n_tokens = twins_on(selection().prompt)
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/info:")
        return
    st.caption(
        f"{MEASURED} Small models that differ in their KV heads only, on your prompt"
        + (f" (its first {n_run} of {n_tokens} tokens)" if n_run < n_tokens else "")
        + ". One prompt is a small sample: the last column of the table is the fairer test."
    )
    counts = sorted({row.n_kv_heads for row in rows}, reverse=True)
    names = {n: _kind(n, counts[0]) for n in counts}
    by_how = {(row.n_kv_heads, row.how): row.loss for row in rows}
    if n_run > 1:
        chart(
            converted_and_trained(
                list(names.values()),
                [by_how.get((n, "converted by averaging")) for n in names],
                [by_how.get((n, "trained that way")) for n in names],
                "loss on your prompt (bits per token)",
            ),
            key="efficient.twins",
            alt="Loss of models converted to fewer KV heads beside models trained that way",
        )
    frame = pd.DataFrame(
        {
            "KV heads": [names[row.n_kv_heads] for row in rows],
            "How": [row.how for row in rows],
            "Parameters": [row.n_parameters for row in rows],
            "Cache per token (bytes)": [row.cache_per_token for row in rows],
            "Your prompt (bits per token)": [row.loss for row in rows],
            "Unseen stories (bits per byte)": [row.bits_per_byte for row in rows],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Your prompt (bits per token)": st.column_config.NumberColumn(format="%.3f"),
            "Unseen stories (bits per byte)": st.column_config.NumberColumn(
                format="%.3f", help="Measured after training, on stories that no twin had seen."
            ),
        },
    )
    csv_button(frame, "kv_head_twins")


def _kind(n_kv_heads: int, most: int) -> str:
    if n_kv_heads == most:
        return f"{n_kv_heads} (multi-head)"
    return f"{n_kv_heads} (multi-query)" if n_kv_heads == 1 else f"{n_kv_heads} (grouped)"
