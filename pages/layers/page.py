"""Layers: when does the prediction form?"""

import numpy as np
import streamlit as st

from model_hooks.read.lens import ranks_of
from pages.ask.session import current_model, current_token_ids, current_trace
from pages.layers import views
from pages.state.selection import select, selection
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import current_position, pick_layer, pick_position
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, visible
from pages.widgets.words import pick_words
from viz import layer_effect, lens_table, logit_parts, stream_growth, watched_words

st.title("Layers")
st.markdown(
    "**When does the prediction form?** Each layer adds to a token's vector. Here you read that "
    "vector after every layer as if it were the last, and see the next word take shape."
)

model, trace = current_model(), current_trace()
info, source = model.info, (selection().model, current_token_ids())
labels = [visible(token) for token in trace.tokens]

CURVES, HALVES, PARTS, GROWTH = (
    "Watched words",
    "Inside one layer",
    "What adds up to the score",
    "The vector itself",
)
# What lies below the table, one at a time: a click redraws only what is seen.
DEEPER = {
    CURVES: views.WATCH_HELP,
    HALVES: views.HALVES_HELP,
    PARTS: views.PARTS_HELP,
    GROWTH: views.GROWTH_HELP,
}


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    pos = current_position(len(trace))
    token_strip(
        trace.tokens,
        key="layers_tokens",
        selected=pos,
        on_pick=lambda picked: select(pos=picked),
        label="Token to read",
    )
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pick_position(trace.tokens, key="layers.pos", label="Token to read")
    reading = views.reading_of(*source, pos)
    if not views.has_numbers(reading):
        st.error(views.NO_NUMBERS, icon=":material/error:")
        return
    final = views.shown(model, views.final_id(reading))
    in_words.markdown(views.answer(reading, info, final, labels[pos]))

    table(pos)
    st.caption(views.check_line(reading.difference, info.vocab_size))
    words = pick_words(model, reading.log_probs[-1])
    deeper(pos, reading, words)


@st.fragment
def deeper(pos: int, reading: views.Reading, words: list[int]) -> None:
    """Draw what lies below the table; another layer leaves all above as it is."""
    layer = pick_layer(info, key="layers.layer")
    tabs = st.tabs(list(DEEPER), key="layers.tabs", on_change="rerun")
    for tab, (title, help_text) in zip(tabs, DEEPER.items(), strict=True):
        if not tab.open:
            continue
        with tab:
            st.subheader(title, help=help_text)
            if title == CURVES:
                curves(reading, words, layer)
            elif title == HALVES:
                halves(reading, layer)
            elif title == PARTS:
                parts(pos, reading, words, layer)
            else:
                growth(pos, layer)


def table(pos: int) -> None:
    """The logit lens: layers x positions."""
    st.subheader("The guess after each layer", help=views.LENS_HELP)
    show, span, by_half = views.table_controls(model, len(trace), pos)
    lens = views.lens_of(*source, span.start, span.stop, by_half)
    rows = views.row_labels(lens.points, info)
    figure = lens_table(
        [[views.shown(model, i) for i in row] for row in lens.top_ids[..., 0]],
        lens.top_probabilities[..., 0],
        lens.final_ranks,
        points=rows,
        tokens=labels[span],
        final=[views.shown(model, i) for i in lens.final_ids],
        final_probabilities=lens.final_probabilities,
        show=show,
        start=span.start,
        selected=pos,
    )
    with views.wide_figure("layers_lens"):
        chart(
            figure,
            key="layers_lens",
            alt="The most probable next token after each layer",
            on_cell=lambda cell: views.select_cell(lens, cell),
        )
    views.read_from(model, *lens.final_ranks.shape)
    csv_button(lambda: views.lens_frame(lens, rows, trace, model), "logit_lens")


def curves(reading: views.Reading, words: list[int], layer: int) -> None:
    """The watched words through the layers."""
    if not words:
        st.info("Choose a word to watch.", icon=":material/visibility:")
        return
    measure = views.pick_measure()
    probabilities, ranks = np.exp(reading.log_probs[:, words]), ranks_of(reading.log_probs, words)
    names = [views.point_name(point, info) for point in reading.points]
    shown = [views.shown(model, word) for word in words]
    figure = watched_words(
        probabilities if measure == "probability" else ranks,
        shown,
        points=names,
        parts=[point.after for point in reading.points],
        layers=[point.layer for point in reading.points],
        measure=measure,
        selected=layer,
    )
    chart(figure, key="layers_words", alt=f"{measure} of watched words after each layer")
    views.read_from(model, len(names))
    csv_button(
        lambda: views.words_frame(names, words, shown, probabilities, ranks), "watched_words"
    )


def halves(reading: views.Reading, layer: int) -> None:
    """One layer: before, after attention, after the feedforward."""
    states = views.states_of(reading, layer)
    tokens = views.tokens_that_move(reading, states)
    probabilities = np.exp(reading.log_probs[states][:, tokens])
    names = views.state_names(states)
    shown = [views.shown(model, token) for token in tokens]
    figure = layer_effect(
        probabilities,
        names,
        ["embedding", *(reading.points[i].after for i in states[1:])],
        shown,
    )
    chart(
        figure, key="layers_halves", alt=f"What attention and feedforward of layer {layer} change"
    )
    views.read_from(model, len(states), blocks=f"`{model.anatomy.blocks[layer].path}`")
    csv_button(lambda: views.halves_frame(names, shown, probabilities), "inside_layer")


def parts(pos: int, reading: views.Reading, words: list[int], layer: int) -> None:
    """Direct logit attribution of one token."""
    token_id, against = views.pick_logit(model, reading, words)
    found = views.attribution_of(*source, pos, token_id, against)
    name = views.shown(model, token_id)
    told_apart = all(block.parts for block in model.anatomy.blocks)
    if found.is_exact and told_apart:
        figure = logit_parts(
            found.embedding,
            found.attention,
            found.feedforward,
            found.constant,
            logit=found.logit,
            token=views.logit_name(model, found),
            selected=layer,
        )
        chart(figure, key="layers_parts", alt=f"What each part adds to the logit of {name}")
        st.markdown(views.strongest(found, escape_markdown(name)))
    else:
        st.info(views.inexact_reason(info, told_apart), icon=":material/info:")
        if not told_apart:
            return
    st.caption(views.sum_line(found))
    views.parts_from(model, layer)
    csv_button(lambda: views.parts_frame(found), "logit_parts")


def growth(pos: int, layer: int) -> None:
    """How the residual stream grows and turns."""
    measures = views.growth(trace, pos)
    figure = stream_growth(*measures, selected=layer)
    chart(figure, key="layers_growth", alt="Length and cosine similarity of the vector")
    numbers_from(
        None,
        (info.n_layers + 1, len(trace), info.d_model),
        "embedding and residual stream after every block",
    )
    csv_button(lambda: views.growth_frame(measures), "residual_stream")


explore()
views.try_next()
