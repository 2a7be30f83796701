"""What is a part of the model good for? The prediction without it."""

from collections.abc import Sequence

import streamlit as st

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    InlookError,
    Intervention,
    Knockout,
)
from model_hooks.arrays import softmax
from model_hooks.host import Run
from model_hooks.read.recorded import last_logits
from pages.ask.computed import computed
from pages.attention.choices import Choices
from pages.state.visit import part
from pages.text import escape_markdown
from pages.widgets.before_after import BeforeAfter, draw_before_after
from pages.widgets.bind import bind

HELP = (
    "The prompt runs once more with one part adding nothing (ablation). If the prediction "
    "changes, that part mattered for it; if it does not, others may have stood in for it."
)
LINK_HELP = (
    "Keeps one token (the query) from reading another one (the key). The weight it had goes to the "
    "tokens that are left. (Attention knockout, Geva et al. 2023)"
)
PARTS = {
    "nothing": "Nothing",
    "head": "This head",
    "attention": "Its layer's attention",
    "feedforward": "Its feedforward",
    "link": "One link",
}
WHERE = {"everywhere": "All layers", "layer": "This layer", "head": "This head"}

_last_logits = computed(last_logits, says="Running the model without it…")


def draw(asked: Run, labels: Sequence[str], layer: int, head: int | None, query: int) -> None:
    """Let the reader switch a part off and compare the next token's probabilities."""
    chosen = _pick(labels, layer, head, query)
    if chosen is None:
        return
    intervention, change = chosen
    try:
        without = asked._replace(interventions=(*asked.interventions, intervention))
        after = softmax(_last_logits(*without))
    except InlookError as error:
        st.warning(escape_markdown(str(error)))
        return
    before = softmax(_last_logits(*asked))
    shown = BeforeAfter(before, after, change, pos=len(labels) - 1)
    draw_before_after(shown, key="attention_ablation", last_token=labels[-1])


def _pick(
    labels: Sequence[str], layer: int, head: int | None, query: int
) -> tuple[Intervention, str] | None:
    """Let the reader choose what to switch off; return it, and the same in words."""
    offered = [name for name in PARTS if name != "head" or head is not None]
    chosen = bind(
        st.segmented_control,
        "Switch off",
        "attention.part",
        options=offered,
        format_func=PARTS.__getitem__,
        required=True,
        keeps=True,
        help=HELP,
    )
    if chosen == "nothing":
        st.caption("Choose what to switch off: the next token is predicted once more without it.")
        return None
    if chosen == "link":
        return _pick_link(labels, layer, head, query)
    if chosen == "head" and head is not None:
        return AblateHead(layer, head), f"without head {head} of layer {layer}"
    if chosen == "attention":
        return AblateAttention(layer), f"without the attention of layer {layer}"
    return AblateMLP(layer), f"without the feedforward of layer {layer}"


def _pick_link(
    labels: Sequence[str], layer: int, head: int | None, pos: int
) -> tuple[Intervention, str] | None:
    """Let the reader choose which query may not read which key, and where."""
    if len(labels) < 2:
        st.caption("A link takes two tokens: write a longer prompt.")
        return None

    def name(pos: int) -> str:
        return f"{pos}: {labels[pos]}"

    by_query, by_key = st.columns(2)
    query = bind(
        by_query.selectbox,
        "Query token: who may not read",
        "attention.link_query",
        options=range(1, len(labels)),
        when_none=max(pos, 1),
        format_func=name,
        help=LINK_HELP,
    )
    key = bind(
        by_key.selectbox,
        "Key token: what it may not read",
        "attention.link_key",
        options=range(query),
        format_func=name,
    )
    bind(
        st.segmented_control,
        "Where",
        "attention.where",
        options=[name for name in WHERE if name != "head" or head is not None],
        format_func=WHERE.__getitem__,
        required=True,
        keeps=True,
    )
    link = f"without the link from {query} to {key}"
    where = part(Choices).where
    if where == "layer":
        return Knockout(query, key, layer), f"{link} in layer {layer}"
    if where == "head" and head is not None:
        return Knockout(query, key, layer, head), f"{link} in head {head} of layer {layer}"
    return Knockout(query, key), f"{link} in all layers"
