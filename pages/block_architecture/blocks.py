"""How does this block differ from that of 2017? Both as pictures, and each difference explained."""

from typing import Any

import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.opening.names import short_name
from model_hooks.parts.differences import Difference, Topic, differences
from model_hooks.parts.facts import ORIGINAL_2017, BlockFacts
from pages.ask.pair import has_pair
from pages.block_architecture.explanations import WRITTEN, explain
from pages.block_architecture.picture import pieces_of
from pages.block_architecture.scene import Scene
from pages.state.visit import put
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import Point, chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from viz import block_structure
from viz.numbers import counted

D_MODEL_2017 = 512
N_NAMED = 3
"""Differences that the first sentence names."""
PAPER = "[Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)"
PICTURE_HELP = (
    "Read it from below. The thick line is the **residual stream**: one token's vector on its way "
    "through the model. A part reads it, works out something, and the **+** adds that to it. "
    "Numbers mark where the two blocks differ."
)


def draw(scene: Scene, all_facts: tuple[BlockFacts, ...]) -> None:
    """Draw both blocks, and explain the difference that is chosen.

    With a pinned run, the two blocks are A's and B's.
    """
    found = differences(scene.facts)
    if has_pair():
        _draw_loaded(scene, found, all_facts)
    else:
        then, now = st.columns(2, gap="medium")
        with then:
            _draw_2017()
        with now:
            _draw_loaded(scene, found, all_facts)
    if note := unread(scene.facts, scene.info):
        st.info(note, icon=":material/info:")
    if not found:
        st.success("This block makes every choice as in 2017.", icon=":material/check:")
        return
    _draw_difference(scene, found)


def _draw_2017() -> None:
    heading("2017", help=PICTURE_HELP)
    chart(
        drawing(block_structure, pieces_of(ORIGINAL_2017, D_MODEL_2017)),
        key="block_architecture.then",
        alt="The block of 2017: attention, then feedforward, with a LayerNorm on each sum",
    )
    st.caption(f"The base model of {PAPER}: {ORIGINAL_2017.n_parameters:,} parameters per block.")


def _draw_loaded(
    scene: Scene, found: tuple[Difference, ...], all_facts: tuple[BlockFacts, ...]
) -> None:
    facts = scene.facts
    heading(
        f"{escape_markdown(short_name(scene.info.name))}, block {facts.layer}", help=PICTURE_HELP
    )
    numbers: dict[Topic, int] = {of.topic: number for number, of in enumerate(found, 1)}

    def choose(mark: Point) -> None:
        topic = found[int(mark.customdata) - 1].topic
        changes: dict[str, Any] = {"block_architecture.difference": topic}
        put(changes)

    chart(
        drawing(block_structure, pieces_of(facts, scene.info.d_model, numbers)),
        key="block_architecture.now",
        on_click=choose,
        alt=f"Block {facts.layer} of the loaded model; numbers mark what differs from 2017",
    )
    st.caption(f"{facts.n_parameters:,} parameters in this block. {other_blocks(all_facts, facts)}")


def _draw_difference(scene: Scene, found: tuple[Difference, ...]) -> None:
    of_topic = {difference.topic: difference for difference in found}
    topics = list(of_topic)
    topic = bind(
        st.segmented_control,
        "What changed since 2017",
        "block_architecture.difference",
        options=topics,
        when_none=topics[0],
        keeps=True,
        format_func=lambda topic: f"{topics.index(topic) + 1} · {WRITTEN[topic]}",
        required=True,
        wrap=True,
        help="Each number is a mark in the picture of the loaded model's block.",
    )
    chosen, facts = of_topic[topic], scene.facts
    with st.container(border=True):
        st.markdown(
            f"**{WRITTEN[topic]}.** 2017: {escape_markdown(chosen.then)} "
            f"→ here: **{escape_markdown(chosen.now)}**"
        )
        st.markdown(explain(chosen, scene))
    shape = (len(scene.asked.token_ids), scene.info.d_model)
    numbers_from(facts.path, shape, layer=facts.layer)
    csv_button(lambda: table_of(found, facts, scene.asked.model_name), "block_differences")


def answer(facts: BlockFacts) -> str:
    """Say in one sentence how much of a block differs from that of 2017 (Markdown)."""
    found = differences(facts)
    if not found:
        return f"Block {facts.layer} makes **every choice as in 2017**."
    named = ", ".join(WRITTEN[one.topic].lower() for one in found[:N_NAMED])
    more = f" and {len(found) - N_NAMED} more" if len(found) > N_NAMED else ""
    return f"Block {facts.layer} differs in **{counted(len(found), 'choice')}**: {named}{more}."


def unread(facts: BlockFacts, info: ModelInfo) -> str | None:
    """Say in one sentence what of a block could not be read; None if all was."""
    if facts.wiring == "unknown":
        return (
            f"How the parts of this block ({info.family}) are joined could not be read from what "
            "they compute, so they are drawn unconnected. All else here was read from it."
        )
    elsewhere = [norm.path.rpartition(".")[2] for norm in facts.norms_at("elsewhere")]
    if elsewhere:
        return f"Not drawn, because its place could not be told: {', '.join(elsewhere)}."
    return None


def other_blocks(all_facts: tuple[BlockFacts, ...], facts: BlockFacts) -> str:
    """Say how many blocks are built like this one."""
    n_layers, n_same = len(all_facts), sum(_is_alike(other, facts) for other in all_facts)
    if n_same == n_layers:
        return f"All {counted(n_layers, 'block')} are built like this."
    n_others = n_layers - n_same
    return (
        f"{n_same} of {n_layers} blocks are built like this one; {n_others} "
        f"{'is' if n_others == 1 else 'are'} not: choose another layer to see."
    )


def _is_alike(one: BlockFacts, other: BlockFacts) -> bool:
    return _shape(one) == _shape(other)


def _shape(facts: BlockFacts) -> tuple:
    """What two blocks have in common that are built alike."""
    attention = facts.attention
    return (
        facts.wiring,
        tuple((norm.place, norm.kind) for norm in facts.norms),
        attention and (attention.kind, attention.n_heads, attention.n_kv_heads, attention.window),
        facts.mixer,
        facts.feedforward,
    )


def table_of(found: tuple[Difference, ...], facts: BlockFacts, model_name: str) -> pd.DataFrame:
    """List a block's differences from that of 2017, one per line."""
    block = {"model": model_name, "layer": facts.layer}
    return pd.DataFrame(
        [{**block, "what": WRITTEN[d.topic], "2017": d.then, "this block": d.now} for d in found]
    )
