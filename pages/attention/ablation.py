"""Switching a part of the model off, on the Attention page: what the prediction loses."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    HookedModel,
    InlookError,
    Intervention,
    Knockout,
    Trace,
)
from pages.widgets.chart import chart
from pages.widgets.controls import current_position
from pages.widgets.text import escape_markdown, visible
from viz import before_after_bars, most_changed

HELP = (
    "The prompt runs once more with one part adding nothing (ablation). If the prediction "
    "changes, that part mattered for it; if it does not, others may have stood in for it."
)
NOTHING, HEAD, ATTENTION, MLP = "Nothing", "This head", "Its layer's attention", "Its feedforward"
LINK = "One link"
EVERYWHERE, THIS_LAYER, THIS_HEAD = "All layers", "This layer", "This head"
LINK_HELP = (
    "Keeps one token (the query) from reading another one (the key). The weight it had goes to the "
    "tokens that are left. (Attention knockout, Geva et al. 2023)"
)

_logits: WeakKeyDictionary[Trace, dict[Intervention, Float[np.ndarray, "vocab"]]] = (
    WeakKeyDictionary()
)
"""After the last position, with one part switched off; kept as long as the trace of the whole."""


def draw(
    model: HookedModel, trace: Trace, labels: Sequence[str], layer: int, head: int | None
) -> None:
    """Let the reader switch a part off and compare the next token's probabilities."""
    part = st.segmented_control(
        "Switch off",
        [NOTHING, *([] if head is None else [HEAD]), ATTENTION, MLP, LINK],
        default=NOTHING,
        required=True,
        key="attention_ablation" if head is not None else "attention_ablation.layer",
        help=HELP,
    )
    changes = {
        HEAD: lambda: (AblateHead(layer, head), f"without head {head} of layer {layer}"),
        ATTENTION: lambda: (AblateAttention(layer), f"without the attention of layer {layer}"),
        MLP: lambda: (AblateMLP(layer), f"without the feedforward of layer {layer}"),
    }
    if part == NOTHING:
        st.caption("Choose what to switch off: the next token is predicted once more without it.")
        return
    chosen = _pick_link(labels, layer, head) if part == LINK else changes[part]()
    if chosen is None:
        return
    intervention, change = chosen
    try:
        after = probabilities(logits_without(model, trace, intervention))
    except InlookError as error:
        st.warning(escape_markdown(str(error)))
        return
    before = probabilities(trace.last_logits)
    token_ids = most_changed(before, after)
    tokens = [visible(token) for token in _each_token(model, token_ids)]
    first, now = (visible(_each_token(model, [int(p.argmax())])[0]) for p in (before, after))
    kept = f"stays **{escape_markdown(first)}**"
    changed = f"was **{escape_markdown(first)}** and becomes **{escape_markdown(now)}**"
    st.markdown(
        f"After {escape_markdown(labels[-1])}, the most probable token "
        f"{kept if before.argmax() == after.argmax() else changed}. Its probability goes from "
        f"{before.max():.1%} to {after[before.argmax()]:.1%}."
    )
    chart(
        before_after_bars(tokens, before[token_ids], after[token_ids], change),
        key="attention_ablation_bars",
        alt=f"Probabilities of the next token, as it is and {change}",
    )


def _pick_link(labels: Sequence[str], layer: int, head: int | None) -> tuple[Knockout, str] | None:
    """Let the reader choose which query may not read which key, and where."""
    n_tokens = len(labels)
    if n_tokens < 2:
        st.caption("A link takes two tokens: write a longer prompt.")
        return None

    def name(pos: int) -> str:
        return f"{pos}: {labels[pos]}"

    by_query, by_key = st.columns(2)
    query = by_query.selectbox(
        "Query token: who may not read",
        range(1, n_tokens),
        index=max(current_position(n_tokens), 1) - 1,
        format_func=name,
        key=f"attention_link.query.{n_tokens}",
        help=LINK_HELP,
    )
    key = by_key.selectbox(
        "Key token: what it may not read",
        range(query),
        format_func=name,
        key=f"attention_link.key.{query}",
    )
    where = st.segmented_control(
        "Where",
        [EVERYWHERE, THIS_LAYER, *([] if head is None else [THIS_HEAD])],
        default=EVERYWHERE,
        required=True,
        key="attention_link.where" if head is not None else "attention_link.where.layer",
    )
    at = {
        EVERYWHERE: (Knockout(query, key), "in all layers"),
        THIS_LAYER: (Knockout(query, key, layer), f"in layer {layer}"),
        THIS_HEAD: (Knockout(query, key, layer, head), f"in head {head} of layer {layer}"),
    }[where]
    return at[0], f"without the link from {query} to {key} {at[1]}"


def logits_without(
    model: HookedModel, trace: Trace, intervention: Intervention
) -> Float[np.ndarray, "vocab"]:
    """Return the logits after the last position of the same tokens, run with an intervention."""
    kept = _logits.setdefault(trace, {})
    if intervention not in kept:
        kept[intervention] = model.trace(trace.token_ids, [intervention]).last_logits
    return kept[intervention]


def probabilities(logits: Float[np.ndarray, "vocab"]) -> Float[np.ndarray, "vocab"]:
    """Softmax over the whole vocabulary."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    return exponentials / exponentials.sum()


def _each_token(model: HookedModel, token_ids: Sequence[int]) -> list[str]:
    """Token strings that are not read as neighbours in one text."""
    return [model.token_strings([int(token_id)])[0] for token_id in token_ids]
