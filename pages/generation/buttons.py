"""How is a text written on and taken back? The buttons, and a run of many tokens."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks.host import Run
from pages.ask import writing
from pages.generation.text import end_of
from pages.text import escape_markdown
from pages.widgets.bind import bind

MOST_PER_RUN = 500
TAIL_TOKENS = 40
TAIL_LETTERS = 80


def draw() -> None:
    """Draw what writes tokens and takes them back."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.button(
            "Step",
            key="generation.step",
            icon=":material/play_arrow:",
            shortcut="N",
            type="primary",
            help="Write one token (key N).",
            on_click=writing.step_forward,
        )
        st.button(
            "Back",
            key="generation.back",
            icon=":material/undo:",
            shortcut="B",
            help="Take the last token back (key B).",
            on_click=writing.step_back,
        )
        st.button(
            "Restart",
            key="generation.restart",
            icon=":material/restart_alt:",
            shortcut="Shift+B",
            help="Go back to the prompt (Shift and B).",
            on_click=writing.rewind_to,
            args=(0,),
        )
        _run_button()


def _run_button() -> None:
    n_per_run = bind(
        st.number_input,
        "Tokens per run",
        "generation.n_per_run",
        min_value=1,
        max_value=MOST_PER_RUN,
        width=104,
    )
    st.button(
        f"Run {n_per_run}",
        key="generation.run",
        icon=":material/fast_forward:",
        shortcut="G",
        help="Write that many tokens, or until the text ends (key G).",
        on_click=writing.TO_WRITE.leave,
        args=(n_per_run,),
    )


def run_bar() -> DeltaGenerator:
    """Draw how far a run is, and what stops it; return the bar to move."""
    with st.container(key="generation_running", horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, "Writing…")
        st.button(
            "Stop",
            key="generation.stop",
            icon=":material/stop:",
            shortcut="X",
            help="Stop the run; what is written stays (key X).",
        )
    return bar


def run_on(asked: Run, n_tokens: int, bar: DeltaGenerator) -> None:
    """Write the tokens that a run was asked for; any click ends it, and what is written stays."""
    for n_done, draft in enumerate(writing.write_on(asked, n_tokens), 1):
        n_shown = min(n_done, TAIL_TOKENS)
        text = end_of(asked.model_name, draft.token_ids, n_shown, TAIL_LETTERS)
        told = f"{n_done} of {n_tokens} tokens: …{escape_markdown(text)}"
        bar.progress(n_done / n_tokens, told)
