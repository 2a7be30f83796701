"""LM head: how do scores become a choice?"""

import streamlit as st

from pages.ask.session import current_model, current_trace
from pages.lm_head import texts, views
from pages.state.selection import select
from pages.widgets.components import token_strip
from pages.widgets.controls import current_position, decoding_controls, pick_position

# One at a time: a click redraws only what is seen.
SECTIONS = {
    "One score": (views.one_score, views.SCORE_HELP),
    "Stages": (views.stage_by_stage, views.STAGES_HELP),
    "All tokens": (views.whole_distribution, views.RANKED_HELP),
    "Temperature": (views.temperature, views.ENTROPY_HELP),
    "Surprisal": (views.surprise, views.SURPRISAL_HELP),
    "Draws": (views.draws, views.DRAWS_HELP),
    "Many texts": (texts.many_texts, texts.TEXTS_HELP),
    "Beam search": (texts.beams, texts.BEAMS_HELP),
}
TITLES = {
    "One score": "From the vector to one score",
    "Stages": "From scores to probabilities, stage by stage",
    "All tokens": "The whole distribution",
    "Temperature": "How open is the choice?",
    "Surprisal": "How surprising was your text?",
    "Draws": "Many draws from one distribution",
    "Many texts": "Greedy against sampling",
    "Beam search": "Several texts at once",
}

st.title("LM head")
st.markdown(
    "**How do scores become a choice?** The last layer leaves one vector. The LM head turns it "
    "into a score for every token it knows, the scores become probabilities, and one token is "
    "picked."
)

model, trace = current_model(), current_trace()


def explore() -> None:
    """Draw everything below the question.

    No fragment: clicks in one wait until its run is over, so nothing could stop a long one.
    """
    pos = current_position(len(trace))
    token_strip(
        trace.tokens,
        key="lm_head_tokens",
        selected=pos,
        on_pick=lambda picked: select(pos=picked),
        marks={len(trace) - 1: "predicts"},
        height=150,
        label="Token whose vector goes into the LM head",
    )
    drawing, options = st.columns([2.4, 1], gap="large")
    with options:
        pick_position(trace.tokens, key="lm_head.pos", label="Choice after")
        decoding = decoding_controls(model.info, key="lm_head.decoding")
    view = views.view_of(model, trace, pos, decoding)
    if view is None:
        drawing.error(views.NO_NUMBERS, icon=":material/error:")
        return
    with drawing:
        st.markdown(views.answer(view))
        views.candidate_chart(view)
        views.pick_token(view)

    tabs = st.tabs(list(SECTIONS), key="lm_head.tabs", on_change="rerun")
    for tab, (name, (draw, help_text)) in zip(tabs, SECTIONS.items(), strict=True):
        if tab.open:
            with tab:
                st.subheader(TITLES[name], help=help_text)
                draw(view)


explore()
views.try_next()
