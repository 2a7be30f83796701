"""What the KV cache page shows of a context that is full: refuse, or drop the oldest tokens."""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import HookedModel, InlookError, Knockout, ModelInfo
from model_hooks.experiments.timing import SideBySide
from pages.ask.session import hooked_model, trace_of
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.controls import show_value
from pages.widgets.download import csv_button
from pages.text import escape_markdown, visible
from viz import before_after_bars, most_changed


@st.fragment
def full_context(pair: SideBySide) -> None:
    """Show what happens when the context is full."""
    model, token_ids = pair.on.model, pair.on.token_ids
    info, n_tokens = model.info, len(token_ids)
    if info.context_size is None:
        st.markdown("Nothing in this model limits the length of a text; memory does.")
    else:
        st.markdown(
            f"This model reads at most **{info.context_size:,} positions**; the text above has "
            f"{n_tokens:,}. To see what happens at the end, **pretend that it is smaller**."
        )
    most = n_tokens if info.context_size is None else min(n_tokens, info.context_size)
    if most < 2:
        st.info("Write a longer text first: one token alone cannot overflow anything.")
        return
    size_box, what_box = st.columns([1, 2.4], gap="large")
    with size_box:
        key = "kv_cache.context"
        show_value(key, min(st.session_state.get(key, max(1, most // 2)), most))
        size = st.number_input("Pretended context size", 1, most, key=key)
    with what_box:
        what = st.segmented_control(
            "When it is full",
            ["refuse", "recompute", "forget"],
            default="recompute",
            required=True,
            key="kv_cache.full",
            format_func={
                "refuse": "Refuse",
                "recompute": "Drop the oldest, compute the rest again",
                "forget": "Drop the oldest from the cache only",
            }.get,
            wrap=True,
        )
    n_dropped = n_tokens - size
    if n_dropped == 0:
        st.info("Everything fits: make the context smaller to see a difference.")
        return
    if what == "refuse":
        _refusal(info, size)
        return
    if model.info.context_size is not None and n_tokens > model.info.context_size:
        token_ids = token_ids[: model.info.context_size]
        n_dropped = len(token_ids) - size
    try:
        before, after = _next_logits(model, token_ids, n_dropped, what)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    p, q = (_softmax(logits) for logits in (before, after))
    ids = [int(i) for i in most_changed(p, q)]
    names = [visible(model.token_strings([i])[0]) for i in ids]
    chart(
        before_after_bars(names, p[ids], q[ids], f"{n_dropped} oldest dropped"),
        key="kv_cache.dropped",
        alt="The most probable next tokens with the whole text and without its beginning",
    )
    best = [escape_markdown(visible(model.token_strings([int(x.argmax())])[0])) for x in (p, q)]
    st.markdown(_dropped_sentence(what, n_dropped, size, best, float(np.abs(p - q).sum() / 2)))
    csv_button(
        lambda: pd.DataFrame({"token": names, "whole_text": p[ids], "oldest_dropped": q[ids]}),
        "kv_cache_full_context",
    )


def _refusal(info: ModelInfo, size: int) -> None:
    st.error(
        f"The context is full: this model reads at most {size} tokens.", icon=":material/block:"
    )
    limit = "" if info.context_size is None else f" (at its real limit of {info.context_size:,})"
    st.markdown(
        f"That is what Inlook does{limit}: nothing is dropped behind your back. The text stays as "
        "it is, and you can go back some steps or shorten the prompt. Programs that must go on "
        "drop the oldest tokens instead: choose one of the other two and see what that changes."
    )


def _next_logits(
    model: HookedModel, token_ids: tuple[int, ...], n_dropped: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits after the whole text, and after dropping its first tokens."""
    name = selection().model
    whole = trace_of(name, token_ids).last_logits
    if what == "recompute":
        return whole, trace_of(name, token_ids[n_dropped:]).last_logits
    return whole, _forgetting(name, token_ids, n_dropped)


@st.cache_resource(max_entries=8, show_spinner=False)
def _forgetting(name: str, token_ids: tuple[int, ...], n_dropped: int) -> np.ndarray:
    """Return the logits when the last position cannot read the first ones; others did."""
    last = len(token_ids) - 1
    unread = [Knockout(query=last, key=pos) for pos in range(n_dropped)]
    return hooked_model(name).trace(list(token_ids), unread).last_logits


def _dropped_sentence(what: str, n_dropped: int, size: int, best: list[str], moved: float) -> str:
    changed = (
        f"The most probable token stays **{best[0]}**."
        if best[0] == best[1]
        else f"The most probable token changes from **{best[0]}** to **{best[1]}**."
    )
    how = {
        "recompute": f"The model sees only the last {size:,} tokens, as if the text began there: "
        f"their keys and values are computed again, a prefill of {size:,} positions.",
        "forget": f"Keys and values of the first {n_dropped:,} positions are gone; those that stay "
        "were computed while the dropped ones could still be read, so a trace of them remains. "
        "Nothing is computed again.",
    }[what]
    return f"{how} {changed} **{moved:.0%}** of the probability moved to other tokens."


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return shifted / shifted.sum()
