"""What happens when the context is full? Refuse, or drop the oldest tokens, in one of two ways."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from model_hooks import InlookError, Knockout, ModelInfo
from model_hooks.arrays import softmax
from model_hooks.experiments.race import SideBySide
from model_hooks.host import Run
from model_hooks.read.recorded import last_logits, tokens_of
from pages.ask.computed import computed
from pages.kv_cache.choices import WhenFull
from pages.text import escape_markdown, visible
from pages.widgets.before_after import BeforeAfter, draw_before_after
from pages.widgets.bind import bind
from pages.widgets.fragment import fragment
from viz.numbers import counted, percent

WAYS: dict[WhenFull, str] = {
    "refuse": "Refuse",
    "recompute": "Drop the oldest, compute the rest again",
    "forget": "Drop the oldest from the cache only",
}

_last_logits = computed(last_logits)
_tokens_of = computed(tokens_of)


@fragment
def draw(pair: SideBySide, model_name: str, info: ModelInfo) -> None:
    """Let the reader pretend that the context is smaller, and show what comes of it."""
    token_ids = pair.on.token_ids
    st.markdown(_limit(info, len(token_ids)))
    asked = Run(model_name, token_ids[: info.context_size], pair.on.interventions)
    most = len(asked.token_ids)
    if most < 2:
        st.info("Write a longer text first: one token alone cannot overflow anything.")
        return
    size, way = _pick(most)
    if way == "refuse" and size < most:
        _draw_refusal(info, size)
    elif size == most:
        st.info("Everything fits: make the context smaller to see a difference.")
    else:
        _draw_dropped(asked, most - size, way)


def _limit(info: ModelInfo, n_tokens: int) -> str:
    if info.context_size is None:
        return "Nothing in this model limits the length of a text; memory does."
    return (
        f"This model reads at most **{counted(info.context_size, 'position')}**; the text above "
        f"has {n_tokens:,}. To see what happens at the end, **pretend that it is smaller**."
    )


def _pick(most: int) -> tuple[int, WhenFull]:
    size_box, way_box = st.columns([1, 2.4], gap="large")
    size = bind(
        size_box.number_input,
        "Pretended context size",
        "kv_cache.context",
        min_value=1,
        max_value=most,
        when_none=max(1, most // 2),
    )
    way = bind(
        way_box.segmented_control,
        "When it is full",
        "kv_cache.full",
        options=[*WAYS],
        format_func=WAYS.__getitem__,
        required=True,
        wrap=True,
    )
    return size, way


def _draw_refusal(info: ModelInfo, size: int) -> None:
    st.error(
        f"The context is full: this model reads at most {counted(size, 'token')}.",
        icon=":material/block:",
    )
    limit = "" if info.context_size is None else f" (at its real limit of {info.context_size:,})"
    st.markdown(
        f"That is what Inlook does{limit}: nothing is dropped behind your back. The text stays as "
        "it is, and you can go back some steps or shorten the prompt. Programs that must go on "
        "drop the oldest tokens instead: choose one of the other two and see what that changes."
    )


def _draw_dropped(asked: Run, n_dropped: int, way: WhenFull) -> None:
    try:
        before = softmax(_last_logits(*asked))
        after = softmax(_last_logits(*without_oldest(asked, n_dropped, way)))
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    size = len(asked.token_ids) - n_dropped
    moved = float(np.abs(before - after).sum() / 2)
    st.markdown(
        f"{_in_words(way, n_dropped, size)} **{percent(moved)}** of the probability moved to other "
        "tokens."
    )
    draw_before_after(
        BeforeAfter(before, after, f"{n_dropped} oldest dropped"),
        key="kv_cache_full_context",
        last_token=_last_token(asked.model_name, asked.token_ids),
    )


def without_oldest(asked: Run, n_dropped: int, way: WhenFull) -> Run:
    """Return the run that tells what comes next once the first tokens are dropped.

    `recompute` runs the rest alone. With `forget`, only the last position cannot read the first
    ones: those in between did, before they were dropped.
    """
    if way == "recompute":
        return asked._replace(token_ids=asked.token_ids[n_dropped:])
    last = len(asked.token_ids) - 1
    unread = tuple(Knockout(query=last, key=pos) for pos in range(n_dropped))
    return asked._replace(interventions=(*asked.interventions, *unread))


def _last_token(model_name: str, token_ids: Sequence[int]) -> str:
    return visible(_tokens_of(model_name, tuple(token_ids))[-1])


def _in_words(way: WhenFull, n_dropped: int, size: int) -> str:
    if way == "recompute":
        return (
            f"The model sees only the last {counted(size, 'token')}, as if the text began there: "
            f"their keys and values are computed again, a prefill of {counted(size, 'position')}."
        )
    return (
        f"Keys and values of the first {counted(n_dropped, 'position')} are gone; those that stay "
        "were computed while the dropped ones could still be read, so a trace of them remains. "
        "Nothing is computed again."
    )
