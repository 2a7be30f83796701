"""Attention: which earlier tokens does each head read from?"""

import streamlit as st

from pages import _attention_views as views
from pages._components import head_grid, head_lines, heatmap_clicks, token_strip
from pages._controls import current_position, pick_head, pick_layer, pick_position
from pages._selection import select
from pages._session import current_model, current_trace
from pages._text import visible
from viz import attention_heatmap

st.title("Attention")
st.markdown("Which earlier tokens does each head read from?")

info = current_model().info
trace = current_trace()
labels = [visible(token) for token in trace.tokens]
survey = views.survey(trace)


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    all_heads, one_head = st.columns([5, 6], gap="large")
    with all_heads:
        st.subheader("All heads", help=views.GRID_HELP)
        layer = pick_layer(info, only_attention=True)
        head = pick_head(info, mean=True)
        head_grid(
            survey.tiles,
            key="attention_grid",
            layers=survey.layers,
            selected=(layer, -1 if head is None else head),
            on_pick=lambda picked: select(layer=picked[0], head=picked[1]),
        )
        if note := views.other_layers_note(info):
            st.caption(note)

    name = views.name_of(layer, head)
    query = current_position(len(trace))
    with one_head:
        st.subheader(name, help=views.MATRIX_HELP)
        pattern, readable = views.pattern_of(trace, layer, head)
        shown = views.sink_switch(pattern)
        span = views.pick_span(labels)
        figure = attention_heatmap(
            shown[span, span],
            labels[span],
            readable=readable[span, span],
            query=query,
            start=span.start,
        )
        st.plotly_chart(figure, key="attention_matrix", alt=f"Attention weights of {name}")
        heatmap_clicks(
            "attention_matrix",
            key="attention_matrix_clicks",
            on_pick=lambda cell: select(pos=views.position_of(cell[0], span)),
        )
        st.caption(views.mask_note(info, layer))

    st.subheader("One token as the query")
    token_strip(
        trace.tokens,
        key="attention_tokens",
        selected=query,
        rows=shown,
        on_pick=lambda pos: select(pos=pos),
        label="Query token",
    )
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pick_position(trace.tokens, label="Query token")
    in_words.markdown(views.summary(labels, shown[query], query))
    lines = views.lines_span(span, query)
    if note := views.lines_note(lines, query, shown[query], len(trace)):
        st.caption(note)
    head_lines(
        trace.tokens[lines],
        shown[lines, lines],
        key="attention_lines",
        start=lines.start,
        selected=query - lines.start,
        threshold=min(0.02, 0.5 * float(shown[query].max())),
        on_pick=lambda pos: select(pos=lines.start + pos),
    )


explore()
