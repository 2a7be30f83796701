"""Block architecture: what is inside a block, and what changed?"""

import streamlit as st

from model_hooks.parts.facts import ORIGINAL_2017
from pages.ask.session import current_model, current_token_ids, current_trace
from pages.block_architecture import activations, norms, twins, views
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.controls import pick_layer, pick_position
from pages.widgets.download import csv_button
from pages.widgets.next_pages import link_pages
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, visible
from viz.architecture import block_structure, encoder_decoder, parameter_bars

WHOLE, PLACE, KIND, ACTIVATION, TWINS = (
    "The whole model",
    "Norm before or after",
    "LayerNorm, RMSNorm",
    "ReLU, GELU, SwiGLU",
    "The twins",
)
CHOSEN = "block_architecture.difference"

st.title("Block architecture")
st.markdown(
    "**What is inside a block, and what changed?** A language model is one kind of block, repeated "
    "many times. Here is the block of the loaded model beside that of the first transformer, 2017."
)

model, trace, token_ids = current_model(), current_trace(), current_token_ids()
info = model.info
all_facts = views.facts_of(selection().model)
parameters = views.parameters_of(selection().model)


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    by_layer, by_token = st.columns([3, 2], vertical_alignment="bottom")
    with by_layer:
        layer = pick_layer(info, key="block_architecture.layer")
    with by_token:
        pos = pick_position(trace.tokens, key="block_architecture.pos")
    facts = all_facts[layer]
    found, numbers = views.numbers_of(facts)

    then, now = st.columns(2, gap="medium")
    with then:
        st.subheader("2017", help=views.PICTURE_HELP)
        chart(
            block_structure(views.pieces_of(ORIGINAL_2017, views.D_MODEL_2017)),
            key="block_architecture.then",
            alt="The block of 2017: attention, then feedforward, with a LayerNorm on each sum",
        )
        st.caption(
            f"The base model of {views.PAPER}: {ORIGINAL_2017.n_parameters:,} parameters per block."
        )
    with now:
        st.subheader(f"{escape_markdown(info.name)}, block {layer}", help=views.PICTURE_HELP)
        chart(
            block_structure(views.pieces_of(facts, info.d_model, numbers)),
            key="block_architecture.now",
            on_click=lambda point: st.session_state.update({CHOSEN: int(point.customdata)}),
            alt=f"Block {layer} of the loaded model; numbers mark what differs from 2017",
        )
        st.caption(
            f"{facts.n_parameters:,} parameters in this block. "
            f"{views.other_layers(all_facts, facts)}"
        )
    if note := views.unread(facts, info):
        st.info(note, icon=":material/info:")
    difference(facts, found, pos)

    tabs = st.tabs(
        [WHOLE, PLACE, KIND, ACTIVATION, TWINS], key="block_architecture.tabs", on_change="rerun"
    )
    token = escape_markdown(visible(trace.tokens[pos]))
    for tab, (title, help_text, draw) in zip(
        tabs,
        (
            ("What was kept of the first transformer", None, whole),
            ("Norm before or after each part", norms.PLACE_HELP,
             lambda: norms.place(info, token_ids)),
            ("LayerNorm and RMSNorm on one vector", norms.KIND_HELP,
             lambda: norms.kind(info, facts, token_ids, pos, token)),
            ("ReLU, GELU, SwiGLU", activations.HELP,
             lambda: activations.draw(facts, token_ids, pos, token)),
            ("The twins: one choice at a time", twins.HELP, twins.draw),
        ),
        strict=True,
    ):  # fmt: skip
        if tab.open:
            with tab:
                st.subheader(title, help=help_text)
                draw()


def difference(facts, found, pos) -> None:
    """One of the differences, explained with numbers."""
    if not found:
        st.success("This block makes every choice as in 2017.", icon=":material/check:")
        return
    chosen = found[views.pick_difference(found, CHOSEN)]
    token = escape_markdown(visible(trace.tokens[pos]))
    scene = views.Scene(model, trace, facts, parameters, pos, token)
    with st.container(border=True):
        st.markdown(
            f"**{views.WRITTEN[chosen.topic]}.** 2017: {escape_markdown(chosen.then)} "
            f"→ here: **{escape_markdown(chosen.now)}**"
        )
        st.markdown(views.explain(chosen, scene))
    numbers_from(facts.path, trace.layers[facts.layer].resid_pre.shape, layer=facts.layer)
    csv_button(lambda: views.differences_frame(found, facts), "block_differences")


def whole() -> None:
    """The encoder-decoder picture, and where the parameters are."""
    picture, parts = st.columns([4, 5], gap="large")
    with picture:
        chart(
            encoder_decoder(),
            key="block_architecture.2017",
            alt="The encoder-decoder of 2017 with the path of a decoder-only model marked",
        )
        st.caption(f"Drawn after figure 1 of {views.PAPER}.")
    with parts:
        st.markdown(
            "The first transformer translated: an **encoder** read the whole sentence, and a "
            "**decoder** wrote the translation token by token, looking at the encoder. A language "
            f"model such as {escape_markdown(info.name)} only continues one text, so it keeps the "
            "**thick path**: no encoder, and no attention to it. This model has "
            f"**{info.n_layers}** such blocks; the base model of 2017 had 6 on each side."
        )
        st.markdown("##### Where the parameters are")
        frame = views.parts_frame(parameters)
        chart(
            parameter_bars(
                list(frame.part),
                frame.parameters.to_numpy(),
                [views.PART_NOTES[part] for part in frame.part],
            ),
            key="block_architecture.parameters",
            alt="Parameters per part of the loaded model",
        )
        st.caption(views.parts_line(info, parameters))
        csv_button(frame, "parameters")


explore()

st.subheader("Try next")
st.markdown(
    "- Choose another layer: are all blocks built alike?\n"
    "- Load another model in the sidebar, such as a twin, and watch the marks change.\n"
    "- Under **LayerNorm, RMSNorm**, choose another token: is its mean always that small?"
)
link_pages(
    {
        "feedforward": "**Feedforward**: what its neurons do",
        "positions": "**Positions**: how the model knows the order of words",
        "efficient_attention": "**Efficient attention**: fewer keys, shorter reach",
    },
    icon=":material/arrow_forward:",
)
