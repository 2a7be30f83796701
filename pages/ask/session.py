"""The loaded model and the trace of the current prompt, shared by all browser sessions.

Pages call `current_model()` and `current_trace()`. Both end the page with one friendly sentence
where there is nothing to show: an empty prompt, a prompt too long, a model that cannot be loaded.
"""

import gc
import os

import streamlit as st
import torch

from model_hooks import HookedModel, Trace, load_model
from model_hooks.errors import InlookError
from pages.state.selection import selection
from pages.widgets.text import escape_markdown

N_THREADS = int(os.environ.get("INLOOK_THREADS", "1"))
"""Threads per forward pass. More than one is slower as soon as another program is busy."""

_FAILURE = "inlook.model_failure"


@st.cache_resource(max_entries=2, show_spinner="Loading the model…")
def hooked_model(name: str) -> HookedModel:
    """Load a model once per server; every session shares it.

    Streamlit collects garbage after every run, which takes 150 ms with torch loaded. Freezing what
    is alive now leaves it nothing to walk through.
    """
    torch.set_num_threads(N_THREADS)
    gc.unfreeze()
    gc.collect()
    model = load_model(name)
    gc.collect()
    gc.freeze()
    return model


@st.cache_resource(max_entries=16, show_spinner=False)
def token_ids_of(model_name: str, prompt: str) -> tuple[int, ...]:
    """Encode a prompt."""
    return tuple(int(token_id) for token_id in hooked_model(model_name).encode(prompt))


@st.cache_resource(max_entries=4, show_spinner="Running the model…")
def trace_of(model_name: str, token_ids: tuple[int, ...]) -> Trace:
    """Trace token IDs. Shared without copying, which is safe because a Trace is read-only."""
    return hooked_model(model_name).trace(list(token_ids))


def open_model() -> None:
    """Load the selected model and remember why it failed: called by app.py before the page."""
    name = selection().model
    st.session_state.pop(_FAILURE, None)
    try:
        hooked_model(name)
    except InlookError as error:
        st.session_state[_FAILURE] = str(error)


def model_is_open() -> bool:
    """Tell whether `open_model` succeeded in this run."""
    return _FAILURE not in st.session_state


def current_model() -> HookedModel:
    """Return the selected model, or end the page with the reason why it cannot be loaded."""
    if not model_is_open():
        st.error(escape_markdown(st.session_state[_FAILURE]), icon=":material/error:")
        st.caption("Choose another model in the sidebar; your prompt is kept.")
        st.stop()
    return hooked_model(selection().model)


def current_token_ids() -> tuple[int, ...]:
    """Return the prompt's token IDs, or end the page with a hint if the prompt is blank."""
    current_model()
    prompt = selection().prompt
    if not prompt.strip():
        st.info("Type a prompt in the sidebar to begin.", icon=":material/edit:")
        st.stop()
    try:
        return token_ids_of(selection().model, prompt)
    except InlookError as error:
        _end_page(error)


def current_trace() -> Trace:
    """Return the trace of the sidebar's prompt, or end the page with the reason for none."""
    token_ids = current_token_ids()
    try:
        return trace_of(selection().model, token_ids)
    except InlookError as error:
        _end_page(error)


def _end_page(error: InlookError) -> None:
    st.error(escape_markdown(str(error)), icon=":material/error:")
    st.stop()
