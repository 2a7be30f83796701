"""What this visitor asks about: the model, its text and what is switched off.

    tokens = tokens_of_run()
    lens = lens_of(*run(), pos)

Each ends the page with one friendly sentence where there is nothing to show: an empty prompt, one
that is too long, a model that cannot be loaded, a part that this model lacks.
"""

from typing import NoReturn

import streamlit as st

from model_hooks import InlookError, InterventionError, ModelInfo
from model_hooks.host import Run
from model_hooks.read.recorded import encode, info_of, run_length, tokens_of
from pages.ask.computed import computed
from pages.state.visit import put, view
from pages.text import escape_markdown

_info_of = computed(info_of, keep=False)
_encode = computed(encode)
_tokens_of = computed(tokens_of)
_run_length = computed(run_length, says="Running the model…")


def open_model() -> str | None:
    """Load the selected model; return why it cannot be, or None."""
    try:
        with st.spinner("Loading the model…"):
            _info_of(view().model)
    except InlookError as error:
        return str(error)
    return None


def info() -> ModelInfo:
    """Return the selected model's sizes."""
    try:
        return _info_of(view().model)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        st.caption("Choose another model in the sidebar; your prompt is kept.")
        st.stop()


def prompt_ids() -> tuple[int, ...]:
    """Return the prompt's token IDs."""
    info()
    if not view().prompt.strip():
        st.info("Type a prompt in the sidebar to begin.", icon=":material/edit:")
        st.stop()
    try:
        return _encode(view().model, view().prompt)
    except InlookError as error:
        _end_page(error)


def run() -> Run:
    """Return the run that the page is about, once it has been made: `question(*run(), key)`."""
    asked = Run(view().model, prompt_ids(), view().interventions)
    try:
        _run_length(*asked)
    except InterventionError as error:
        st.warning(escape_markdown(str(error)), icon=":material/error:")
        st.button("Switch everything on again", on_click=put, kwargs={"interventions": ()})
        st.stop()
    except InlookError as error:
        _end_page(error)
    return asked


def tokens_of_run() -> tuple[str, ...]:
    """Return the run's tokens for people, one string per position."""
    asked = run()
    return _tokens_of(asked.model_name, asked.token_ids)


def n_tokens_of_prompt() -> int | None:
    """Return how many tokens the prompt has; None where it cannot be said."""
    try:
        return len(_encode(view().model, view().prompt))
    except InlookError:
        return None


def _end_page(error: InlookError) -> NoReturn:
    st.error(escape_markdown(str(error)), icon=":material/error:")
    st.stop()
