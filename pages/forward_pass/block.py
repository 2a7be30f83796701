"""What do the two halves of one block add to the chosen lane?"""

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.parts.abilities import LayerAbilities
from model_hooks.read.recorded import attention_window, routing_of
from pages.ask.computed import computed
from pages.forward_pass.seen import Seen, code
from pages.text import visible
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from pages.widgets.experts import choice_line
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import ATTENTION, LENGTH, shown
from viz import attention_heatmap, block_diagram, color_limit, vector_strip

MAX_PATTERN = 48
"""Tokens up to which a pattern is drawn with one label per token."""

_attention_window = computed(attention_window)
_routing_of = computed(routing_of, says="Asking the routers…")


def draw(seen: Seen) -> None:
    """Draw one block: the whole, and each of its parts."""
    can = seen.abilities.layers[seen.layer]
    st.markdown(f"### Block {seen.layer} for token {seen.pos}, {seen.token}")
    _diagram(seen, can)
    if not can.parts:
        st.info(
            f"In this family ({seen.info.family}) what attention adds and what the feedforward "
            "adds cannot be told apart from outside, so the block is shown as a whole.",
            icon=":material/info:",
        )
    added = {name: seen.vector(name) for name in ("attn_out", "mlp_out")}
    limit = color_limit(added["attn_out"], added["mlp_out"])
    with st.container(border=True):
        _attention(seen, can, added["attn_out"], limit)
    if "feedforward" in can.parts:
        with st.container(border=True):
            _feedforward(seen, can, added["mlp_out"], limit)


def _mixer(can: LayerAbilities) -> str:
    return "Attention" if can.has_attention else "Mixing"


def _diagram(seen: Seen, can: LayerAbilities) -> None:
    info, sizes, at = seen.info, seen.sizes, (seen.layer, seen.pos)
    chart(
        drawing(
            block_diagram,
            can.wiring,
            resid_pre=float(sizes.resid_pre[at]),
            attn_out=float(sizes.attn_out[at]) if "attention" in can.parts else None,
            mlp_out=float(sizes.mlp_out[at]) if "feedforward" in can.parts else None,
            resid_post=float(sizes.resid_post[at]),
            together=float(sizes.added[at]),
            norm="" if info.norm == "none" else info.norm,
            norm_placement=info.norm_placement,
            mixer=_mixer(can),
        ),
        key="forward.block",
        alt=f"Block {seen.layer}: the residual stream, what {_mixer(can).lower()} adds and what "
        "the feedforward adds",
    )
    st.caption(
        "Numbers are sizes: the length (norm) of the vector. Two vectors that point in different "
        "directions add up to less than the sum of their sizes."
        + (" In this model both parts read the same input." if info.parallel else "")
    )


def _attention(
    seen: Seen, can: LayerAbilities, added: Float[np.ndarray, "d_model"], limit: float
) -> None:
    picture, facts = st.columns([3, 2], gap="medium")
    facts.markdown(f":blue-badge[{_mixer(can)}] Here the lanes meet.")
    reads = seen.reads[seen.layer]
    if reads is not None:
        with picture:
            _pattern(seen)
        facts.markdown(_strongest(seen, reads))
        facts.markdown(attention_facts(seen.info, seen.layer))
    else:
        picture.info("This layer has no attention: it mixes positions in another way.")
    if "attention" in can.parts:
        with facts:
            _added(seen, added, limit, "attention")
            path = can.attention_path or can.path
            numbers_from(path, seen.embedding.shape, layer=seen.layer)


def _feedforward(
    seen: Seen, can: LayerAbilities, added: Float[np.ndarray, "d_model"], limit: float
) -> None:
    facts, vector = st.columns(2, gap="medium")
    facts.markdown(":violet-badge[Feedforward] Here each lane is alone.")
    facts.markdown(feedforward_facts(seen.info))
    if can.router_path is not None:
        routing = _routing_of(*seen.asked)[seen.layer]
        if routing is not None:
            facts.markdown(choice_line(routing, visible(seen.tokens[seen.pos]), seen.pos))
    with vector:
        _added(seen, added, limit, "feedforward")
        numbers_from(can.mlp_out_path or can.path, seen.embedding.shape, layer=seen.layer)


def _pattern(seen: Seen) -> None:
    """The mean pattern of one layer; of a long prompt, the last tokens up to the chosen one."""
    n_tokens = len(seen.tokens)
    start = max(0, min(seen.pos + 1, n_tokens) - MAX_PATTERN)
    end = min(n_tokens, start + MAX_PATTERN)
    chart(
        drawing(
            attention_heatmap,
            _attention_window(*seen.asked, seen.layer, None, start, end),
            [visible(token) for token in seen.tokens[start:end]],
            query=seen.pos,
            start=start,
            measure="mean attention weight",
        ),
        key="forward.pattern",
        alt=f"Mean attention pattern of layer {seen.layer}: rows read from columns",
    )
    if n_tokens > MAX_PATTERN:
        st.caption(f"Drawn: tokens {start} to {end - 1} of {n_tokens}.")


def _strongest(seen: Seen, row: Float[np.ndarray, "pos"]) -> str:
    key = int(row.argmax())
    token = "itself" if key == seen.pos else f"token {key}, {code(seen.tokens[key])}"
    weight = shown(ATTENTION, row[key], seen.layer, None, seen.pos, key)
    return (
        f"Token {seen.pos}, {seen.token}, reads most from {token}: **{weight}** of its "
        "attention, averaged over heads."
    )


def _added(seen: Seen, added: Float[np.ndarray, "d_model"], limit: float, part: str) -> None:
    tap = "attn_out" if part == "attention" else "mlp_out"
    length = shown(LENGTH, np.linalg.norm(added), tap, seen.layer, seen.pos)
    st.markdown(f"It adds this vector, of size **{length}**:")
    chart(
        drawing(vector_strip, added, limit=limit),
        key=f"forward.{part}",
        alt=f"The numbers that {part} of layer {seen.layer} adds to token {seen.pos}",
    )


def attention_facts(info: ModelInfo, layer: int) -> str:
    """Say in one sentence how the attention of a layer is built."""
    facts = [f"{info.n_heads} heads of {info.d_head} numbers each"]
    if info.n_kv_heads < info.n_heads:
        facts.append(f"sharing {info.n_kv_heads} sets of keys and values")
    if window := info.sliding_window[layer]:
        facts.append(f"looking back at most {window:,} tokens")
    return ", ".join(facts) + "."


def feedforward_facts(info: ModelInfo) -> str:
    """Say in a few sentences how the feedforwards are built."""
    width = f"{info.d_model:,} → {info.d_mlp:,} → {info.d_model:,} numbers" if info.d_mlp else ""
    gated = ", with a gate" if info.gated_mlp else ""
    experts = (
        f" {info.experts_per_token} of {info.n_experts} such networks (experts) run for each token."
        if info.n_experts and info.experts_per_token
        else ""
    )
    return (
        f"A small neural network, the same for every lane: {width} (activation "
        f"`{info.activation}`{gated}).{experts} Most of what the model learned is stored here."
    )
