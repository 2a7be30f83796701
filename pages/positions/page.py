"""Positions: how does the model know the order of words?"""

import numpy as np
import pandas as pd
import streamlit as st

from pages.ask.session import current_model, current_trace
from pages.positions import tries, views
from pages.state.selection import select, selection
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import current_position, pick_head
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import visible
from viz.positions import bias_by_distance, position_similarity, position_vectors
from viz.rotation import pair_terms, pair_use, rotation_slider, wavelength_lines

st.title("Positions")
st.markdown(
    "**How does the model know the order of words?** Attention alone would read a text like a bag "
    "of words: something has to tell it where each token stands."
)

model, trace = current_model(), current_trace()
name = selection().model
labels = [visible(token) for token in trace.tokens]
facts = views.facts_of(name)
st.markdown(views.answer(model, facts))
st.caption(views.how_found(facts))
if facts.reason:
    st.info(facts.reason, icon=":material/info:")


@st.fragment
def explore() -> None:
    """Draw one deeper view at a time; a click reruns nothing else."""
    titles = views.tabs_of(facts)
    tabs = st.tabs(titles, key="positions.tabs." + titles[0], on_change="rerun")
    for tab, title in zip(tabs, titles, strict=True):
        if not tab.open:
            continue
        with tab:
            st.subheader(title, help=views.HELP[title])
            DRAW[title]()


def turned() -> None:
    """A query and a key, turned by their positions in the browser."""
    token_strip(
        trace.tokens,
        key="positions_tokens",
        selected=current_position(len(trace)),
        on_pick=lambda pos: select(pos=pos),
        height=140,
        label="Query token",
    )
    picked = views.pick_pair(model, name, trace, labels, facts)
    if picked is None:
        return
    pair, rotation = picked
    moving = st.segmented_control(
        "Move",
        [views.QUERY_ALONE, views.BOTH],
        default=views.QUERY_ALONE,
        required=True,
        key="positions.move",
        help="Moving a token turns its arrows. The score changes only with the distance.",
    )
    both = moving == views.BOTH
    pairs, scores, steps, start = views.slider_of(pair, rotation, both)
    moved = "both moved by" if both else "position of the query"
    chart(
        rotation_slider(pairs, scores, steps, moved=moved, start=start, measure=pair.measure),
        key="positions_rotation",
        alt=f"Pairs of query {pair.query_pos} and key {pair.key_pos}, turned by their positions",
    )
    st.caption(views.circles_note(rotation, len(pairs)))
    st.markdown(views.move_sentence(scores, steps, start, both, labels, pair))
    st.caption(views.shift_check(model, name, trace, pair))
    with st.popover("The formula", icon=":material/functions:"):
        views.formula()
    numbers_from(
        model.anatomy.blocks[pair.layer].attention_path,
        (model.info.n_heads, len(trace), rotation.d_head),
        "queries",
        pair.layer,
    )
    csv_button(lambda: views.slider_frame(scores, steps, moved), "rotation")


def which_pairs() -> None:
    """What each pair adds to one score, and which pairs the heads of this layer use."""
    picked = views.pick_pair(model, name, trace, labels, facts)
    if picked is None:
        return
    pair, rotation = picked
    terms, rest = views.terms_of(pair, rotation)
    st.markdown(views.terms_sentence(terms, rest, pair, labels))
    chart(
        pair_terms(terms, rotation.wavelengths, rest),
        key="positions_terms",
        alt=f"What each pair adds to the score of query {pair.query_pos} and key {pair.key_pos}",
    )
    csv_button(lambda: views.terms_frame(terms, rest, rotation), "rotation_pairs")
    st.subheader(f"All heads of layer {pair.layer}", help=views.USE_HELP)
    use = views.use_of(name, tuple(int(i) for i in trace.token_ids), pair.layer)
    chart(
        pair_use(use, rotation.wavelengths, pair.head),
        key="positions_use",
        alt=f"How much each head of layer {pair.layer} uses each pair",
    )
    st.markdown(views.use_sentence(use, rotation, pair.head))
    csv_button(lambda: views.use_frame(use, rotation), "rotation_use")


def wavelengths() -> None:
    """After how many tokens each pair has turned once, and what the base does."""
    rotation = views.pick_rotation(model, facts)
    if rotation is None:
        return
    others = views.other_bases(rotation, facts)
    marks = {"this prompt": len(trace)}
    if model.info.context_size:
        marks["context"] = model.info.context_size
    chart(
        wavelength_lines(rotation.wavelengths, others, marks),
        key="positions_wavelengths",
        alt="Tokens per turn of every pair of dimensions",
    )
    st.markdown(views.wave_sentence(rotation, model.info.context_size))
    csv_button(
        lambda: pd.DataFrame(
            {
                "pair": np.arange(rotation.n_pairs),
                "radians_per_position": rotation.frequencies,
                "tokens_per_turn": rotation.wavelengths,
                **others,
            }
        ),
        "rotation_wavelengths",
    )


def vectors() -> None:
    """The vectors that stand for positions, and how alike they are."""
    table = facts.table
    picture, alike = st.columns(2)
    with picture:
        chart(
            position_vectors(table.vectors),
            key="positions_vectors",
            alt=f"The {len(table.vectors)} position vectors of this model",
        )
    with alike:
        chart(
            position_similarity(table.vectors),
            key="positions_similarity",
            alt="Cosine between the vectors of every two positions",
        )
    st.markdown(views.table_sentence(table, views.trained_length(model)))
    numbers_from(table.path, table.vectors.shape, "rows")
    csv_button(lambda: pd.DataFrame(table.vectors), "position_vectors")


def bias() -> None:
    """What is added to scores by distance."""
    head = pick_head(model.info, key="positions.head")
    chart(
        bias_by_distance(facts.bias, head),
        key="positions_bias",
        alt="What is added to a score by the distance between query and key, per head",
    )
    st.markdown(views.bias_sentence(facts, head or 0))
    csv_button(lambda: pd.DataFrame(facts.bias), "position_bias")


DRAW = {
    views.TURNED: turned,
    views.PAIRS: which_pairs,
    views.WAVES: wavelengths,
    views.VECTORS: vectors,
    views.BIAS: bias,
    views.SWAP: lambda: tries.swap(model, trace, labels),
    views.SHIFT: tries.shift,
    views.LONGER: tries.longer,
}

explore()
views.try_next()
