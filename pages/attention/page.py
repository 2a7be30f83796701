"""Attention: which earlier tokens does each head read from?"""

import streamlit as st

from pages.ask.session import current_model, current_trace
from pages.attention import ablation, arithmetic, views
from pages.state.selection import select
from pages.widgets.chart import chart
from pages.widgets.components import head_grid, head_lines, token_strip
from pages.widgets.controls import current_position, pick_head, pick_layer, pick_position
from pages.widgets.download import csv_button
from pages.widgets.text import visible
from viz import attention_heatmap

SEVERAL, ARITHMETIC, ABLATION = (
    "Several tokens",
    "One query, one key: the arithmetic",
    "What is it good for?",
)
# What lies below the lines, one at a time: a click redraws only what is seen.
DEEPER = {SEVERAL: views.SEVERAL_HELP, ARITHMETIC: arithmetic.HELP, ABLATION: ablation.HELP}

st.title("Attention")
st.markdown(
    "**Which earlier tokens does each head read from?** A token learns what came before it by "
    "attention. Every layer looks back several times in parallel; each of these looks is a head."
)

model = current_model()
trace = current_trace()
labels = [visible(token) for token in trace.tokens]
survey = views.survey(trace)


def pick_cell(cell: tuple[int, int], span: slice) -> None:
    """Look at the query and the key of a cell of the matrix, and follow its arithmetic."""
    query, key = (views.position_of(index, span) for index in cell)
    select(pos=query)
    arithmetic.pick(min(query, key))
    st.session_state["attention.tabs"] = ARITHMETIC


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    all_heads, one_head = st.columns([11, 12], gap="large")
    with all_heads:
        st.subheader("All heads", help=views.GRID_HELP)
        layer = pick_layer(model.info, key="attention.layer", only_attention=True)
        head = pick_head(model.info, key="attention.head", mean=True)
        order = views.pick_order(trace)
        head_grid(
            survey.tiles,
            key="attention_grid",
            layers=survey.layers,
            order=order,
            selected=(layer, -1 if head is None else head),
            on_pick=lambda picked: select(layer=picked[0], head=picked[1]),
        )
        if note := views.other_layers_note(model.info):
            st.caption(note)

    query = current_position(len(trace))
    with one_head:
        st.subheader(views.name_of(layer, head), help=views.MATRIX_HELP)
        shown = views.sink_switch(views.pick_measure(model, trace, layer, head))
        span = views.pick_span(labels)
        figure = attention_heatmap(
            shown.weights[span, span],
            labels[span],
            readable=shown.readable[span, span],
            query=query,
            start=span.start,
            measure=shown.measure,
            highest=shown.highest,
        )
        chart(
            figure,
            key="attention_matrix",
            alt=f"{shown.measure}, {shown.name}",
            on_cell=lambda cell: pick_cell(cell, span),
            view=(labels[span], shown.measure),
        )
        st.caption(views.mask_note(model.info, layer))
        csv_button(lambda: views.table_of(shown, trace.tokens), "attention")

    st.subheader("One query")
    token_strip(
        trace.tokens,
        key="attention_tokens",
        selected=query,
        rows=shown.shares,
        on_pick=lambda pos: select(pos=pos),
        label="Query token",
    )
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pick_position(trace.tokens, key="attention.pos", label="Query token")
    in_words.markdown(views.summary(labels, shown.shares[query], query))
    if shown.measure == "size":
        st.caption("Here and below: each key's share of all sizes in the query's row.")
    lines = views.lines_span(span, query)
    if note := views.lines_note(lines, query, shown.shares[query], len(trace)):
        st.caption(note)
    head_lines(
        trace.tokens[lines],
        shown.shares[lines, lines],
        key="attention_lines",
        start=lines.start,
        selected=query - lines.start,
        threshold=min(0.02, 0.5 * float(shown.shares[query].max())),
        on_pick=lambda pos: select(pos=lines.start + pos),
    )

    tabs = st.tabs(list(DEEPER), key="attention.tabs", on_change="rerun")
    for tab, (title, help_text) in zip(tabs, DEEPER.items(), strict=True):
        if not tab.open:
            continue
        with tab:
            st.subheader(title, help=help_text)
            if title == SEVERAL:
                views.several_tokens(trace, labels, shown.shares)
            elif title == ARITHMETIC:
                arithmetic.draw(model, trace, labels, layer, head, query)
            else:
                ablation.draw(model, trace, labels, layer, head)


explore()

st.subheader("Try next")
views.try_next()
