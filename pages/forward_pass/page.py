"""Forward pass: what happens between my prompt and the next token?"""

import streamlit as st

from pages.ask.patterns import mean_patterns
from pages.ask.session import current_model, current_token_ids, current_trace
from pages.forward_pass import stages as forward
from pages.forward_pass.flow import forward_flow
from pages.state.selection import select, selection
from viz import candidates

st.title("Forward pass")
st.markdown(
    "**What happens between my prompt and the next token?** The text becomes *tokens*, every token "
    "becomes a *vector* with a lane of its own, and the last lane becomes the *prediction*."
)
model, trace = current_model(), current_trace()


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    number = forward.opened()

    picture = st.container()
    with st.container(border=True, key="forward.stage"):
        decoding, pos, body = forward.heading(model.info, trace, number)
        stages = decoding.stages(trace.last_logits, trace.token_ids)
        view = forward.View(
            model=model,
            trace=trace,
            pos=pos,
            layer=min(selection().layer, trace.n_layers - 1),
            patterns=mean_patterns(selection().model, current_token_ids()),
            decoding=decoding,
            decoding_stages=stages,
            picked=decoding.pick(stages[-1], 0),
        )
        with body:
            forward.STAGES[number].draw(view)
        forward.step_buttons(number)

    with picture:
        forward_flow(
            trace,
            cards=forward.cards(view),
            reads=forward.reads(view),
            parts=[block.parts for block in model.anatomy.blocks],
            candidates=candidates(stages, view.token_of, n_candidates=5, chosen=view.picked),
            choice=forward.picked_choice(view),
            pos=view.pos,
            layer=view.layer,
            stage=forward.STAGES[number].name,
            details=".st-key-forward-stage",
            key="forward.flow",
            on_pick=lambda what, value: select(**{what: value}),
        )
    forward.try_next(number)


explore()
