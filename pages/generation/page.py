"""Generation page: one token at a time, and why it was this one."""

import streamlit as st

from model_hooks import Generation, InlookError
from pages.ask import draft as writing
from pages.ask.session import current_model
from pages.generation.views import (
    attention_note,
    branch_list,
    candidate_chart,
    candidate_picker,
    candidate_table,
    cost_chart,
    replay_chart,
    rows_of,
    text_strip,
    token_facts,
    try_next,
)
from pages.state.selection import selection
from pages.widgets.controls import cache_control, decoding_controls, pick_head, pick_layer
from pages.text import escape_markdown
from viz.decoding import Candidate

MOST_PER_RUN = 500
DETAILS = NUMBERS, COSTS, REPLAY = "Numbers, stage by stage", "Cost of each step", "Replay"

st.title("Generation")
st.markdown(
    "**Why this token?** A language model writes one token at a time: it gives every token it "
    "knows a probability, one of them is picked, and the text with it goes in again. "
    "Press **Step** and watch."
)


@st.fragment
def view() -> None:
    """Draw the text, the choice and what led to it; a click here reruns nothing else."""
    n_to_write, problem = writing.tokens_to_write(), None
    try:
        draft = writing.current_draft(decoding, use_cache)
    except InlookError as error:
        problem = str(error)
    buttons(disabled=n_to_write > 0 or problem is not None)
    if problem is not None:
        st.error(escape_markdown(problem), icon=":material/error:")
        return
    if n_to_write:
        run_on(n_to_write)

    generation = draft.generation
    n_prompt, n_tokens = len(generation.prompt_ids), len(generation.token_ids)
    newest = n_tokens - 1 if generation.steps else n_tokens
    pos = newest if selection().pos is None else min(selection().pos, n_tokens)
    message = st.empty()
    if problem := writing.problem():
        message.error(escape_markdown(problem), icon=":material/error:")
    elif generation.finished:
        message.info("The last token ends the text; you can still go on.", icon=":material/flag:")

    strip = st.container()
    layer_box, head_box = st.columns([1, 1.9])
    with layer_box:
        layer = pick_layer(info, key="generation.layer", only_attention=True)
    with head_box:
        head = pick_head(info, key="generation.head", mean=True)
    try:
        choice = writing.choice_at(generation, pos, layer)
    except InlookError as error:
        message.error(escape_markdown(str(error)), icon=":material/error:")
        choice = writing.choice_at(generation, pos := newest, layer)
    with strip:
        text_strip(generation, choice, head)
        attention_note(generation, choice, layer, head)

    token_facts(generation, choice)
    rows = rows_of(generation, choice) if choice.stages else []
    if rows:
        may_take = pos >= n_prompt
        candidate_chart(rows, choice, clickable=may_take)
        if may_take:
            candidate_picker(generation, choice)
        else:
            st.caption("The prompt stays as it is; change it in the sidebar.")

    if len(draft.tips) > 1 or (draft.tips and draft.tip is None):
        branch_list(draft)
    details(generation, rows, choice.token_id)


def buttons(*, disabled: bool) -> None:
    """Draw what writes tokens and takes them back."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.button(
            "Step", key="generation.step", icon=":material/play_arrow:", shortcut="N",
            type="primary", help="Write one token (key N).", disabled=disabled,
            on_click=writing.step_forward,
        )  # fmt: skip
        st.button(
            "Back", key="generation.back", icon=":material/undo:", shortcut="B",
            help="Take the last token back (key B).", disabled=disabled,
            on_click=writing.step_back,
        )  # fmt: skip
        st.button(
            "Restart", key="generation.restart", icon=":material/restart_alt:",
            shortcut="Shift+B", help="Go back to the prompt (Shift and B).", disabled=disabled,
            on_click=writing.restart,
        )  # fmt: skip
        n_per_run = st.number_input(
            "Tokens per run", 1, MOST_PER_RUN, 20, key="generation.n_per_run", width=104,
            persist_state="session", disabled=disabled,
        )  # fmt: skip
        st.button(
            f"Run {n_per_run}", key="generation.run", icon=":material/fast_forward:",
            shortcut="G", help="Write that many tokens, or until the text ends (key G).",
            disabled=disabled, on_click=writing.ask_to_write, args=(n_per_run,),
        )  # fmt: skip


def run_on(n_to_write: int) -> None:
    """Write the tokens that a run was asked for, then draw the page anew."""
    for n_done, generation in enumerate(writing.write_tokens(n_to_write), 1):
        tail = escape_markdown(generation.text[-80:].replace("\n", " "))
        progress.progress(n_done / n_to_write, f"{n_done} of {n_to_write} tokens: …{tail}")
    st.rerun()


def details(generation: Generation, rows: list[Candidate], token_id: int | None) -> None:
    """Draw what lies below the chart, one at a time: a click redraws only what is seen."""
    # Streamlit's tabs would take a tenth of the time of a step.
    shown = st.segmented_control(
        "Below the chart", DETAILS, default=DETAILS[0], required=True, wrap=True,
        key="generation.details", label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    if shown == NUMBERS:
        if rows:
            candidate_table(rows, decoding, token_id)
    elif not generation.steps:
        st.info("Take a step, and you see it here.")
    elif shown == COSTS:
        cost_chart(generation)
    else:
        replay_chart(generation)


info = current_model().info
text, options = st.columns([2.8, 1], gap="large")
# Stop stands outside the fragment: a click inside one waits until its run is over.
if writing.is_asked_to_write():
    with st.container(key="generation_running", horizontal=True, vertical_alignment="center"):
        progress = st.progress(0.0, "Writing…")
        st.button(
            "Stop", key="generation.stop", icon=":material/stop:", shortcut="X",
            help="Stop the run; what is written stays (key X).",
        )  # fmt: skip
with options:
    st.subheader("How it is picked")
    decoding = decoding_controls(info, key="generation.decoding")
    use_cache = cache_control(key="generation.use_cache")
with text:
    # On a phone the options come after all the rest.
    with st.container(key="generation_to_options"):
        st.markdown(":material/arrow_downward: [Change how it is picked](#how-it-is-picked)")
    view()

st.caption(
    "Things to try: sample with a temperature of 1.5 and watch the bars flatten; take the second "
    "candidate and see where the story goes; switch the KV cache off and compare the cost."
)
try_next()
