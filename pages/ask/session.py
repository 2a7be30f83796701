"""What this visitor asks about: the model, its text so far and what is switched off.

    tokens = tokens_of_run()
    lens = lens_of(*run(), pos)

Each ends the page with one friendly sentence where there is nothing to show: an empty prompt, one
that is too long, a model that cannot be loaded, a part that this model lacks. While the pinned run
is looked at (`pages/ask/pair.py`), and where the machine of the models is away, the sentence is an
error instead.
"""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import (
    ScriptRunContext,
    add_script_run_ctx,
    get_script_run_ctx,
)

from model_hooks import InlookError, InterventionError, ModelInfo, PromptError
from model_hooks.errors import AwayError
from model_hooks.host import Run
from model_hooks.opening.progress import progress_of
from model_hooks.read.recorded import decode_after, encode, info_of, run_length, tokens_of
from pages.ask.computed import computed, is_quick, note_size
from pages.server.settings import settings
from pages.state.visit import is_of_other, put, view
from pages.text import escape_markdown
from viz.numbers import whole_percent

LOOK_S = 0.3
"""How often it is asked how far a model is that is being opened."""
UNPACKING = "Unpacking its weights, which takes a while the first time:"
NO_PROMPT = "Press **Edit** at the top of the page and type a prompt to begin."

_LOADERS = ThreadPoolExecutor(16, "inlook-loads")
_OPENED: set[str] = set()
"""Models that were opened once. Their weights are unpacked for good, so there is nothing to watch,
and whoever clicks need not wait behind those who open another model."""
_info_of = computed(info_of, keep=False)
_encode = computed(encode)
_tokens_of = computed(tokens_of)
_run_length = computed(run_length, says="Running the model…")
_decode_after = computed(decode_after)


def open_model() -> str | None:
    """Load the selected model, showing how far it is; return why it cannot be, or None."""
    name = view().model
    try:
        with nullcontext() if is_quick(Run(name, ())) else st.spinner("Loading the model…"):
            if name in _OPENED:
                _info_of(name)
            else:
                _open_watched(name)
                _OPENED.add(name)
                note_size(name, _info_of(name).n_parameters)
    except InlookError as error:
        return str(error)
    return None


def _open_watched(name: str) -> None:
    """Load a model for the first time, and show how far its weights are unpacked meanwhile."""
    loading, shown = _LOADERS.submit(_load, name, get_script_run_ctx()), None
    while wait([loading], LOOK_S).not_done:
        if (share := progress_of(name)) is not None:
            shown = shown or st.empty()
            shown.progress(share, f"{UNPACKING} {whole_percent(share)}")
    if shown:
        shown.empty()
    loading.result()


def _load(name: str, context: ScriptRunContext | None) -> None:
    """Load a model in a thread of its own, whose lines are drawn where this visitor looks."""
    add_script_run_ctx(threading.current_thread(), context)
    _info_of(name)


def info() -> ModelInfo:
    """Return the selected model's sizes."""
    try:
        return _info_of(view().model)
    except InlookError as error:
        if is_of_other() or isinstance(error, AwayError):
            raise
        st.error(escape_markdown(str(error)), icon=":material/error:")
        st.caption("Choose another model in the sidebar; your prompt is kept.")
        st.stop()


def prompt_ids() -> tuple[int, ...]:
    """Return the prompt's token IDs."""
    info()
    if not view().prompt.strip():
        if is_of_other():
            raise PromptError("Its prompt is empty.")
        st.info(NO_PROMPT, icon=":material/edit:")
        st.stop()
    try:
        token_ids = _encode(view().model, view().prompt)
    except InlookError as error:
        _end_page(error)
    most = settings().at_most("prompt_tokens", len(token_ids))
    if len(token_ids) > most:
        _end_page(
            PromptError(
                f"This server takes prompts of up to {most:,} tokens, and yours has "
                f"{len(token_ids):,}: shorten it, or take Inlook on your own computer."
            )
        )
    return token_ids


def prompt_run() -> Run:
    """Return the run of the prompt alone, once it has been made."""
    return _made(prompt_ids())


def prompt_run_if_any() -> Run | None:
    """Return that run before it has been made; None where there is none, and the page goes on."""
    if not view().prompt.strip():
        return None
    try:
        token_ids = _encode(view().model, view().prompt)
    except InlookError:
        return None
    if len(token_ids) > settings().at_most("prompt_tokens", len(token_ids)):
        return None
    return Run(view().model, token_ids, view().interventions)


def text_so_far() -> str:
    """Return the prompt with what was written after it."""
    prompt, written = view().prompt, view().written
    return prompt + _decode_after(view().model, prompt_ids(), written) if written else prompt


def text_ids() -> tuple[int, ...]:
    """Return the IDs of the whole text: the prompt's, and those of the tokens written so far."""
    return prompt_ids() + view().written


def run() -> Run:
    """Return the run that the page is about, once it has been made: `question(*run(), key)`.

    That is the whole text; where the newest token has used up the context, the text before it.
    """
    token_ids, context_size = text_ids(), info().context_size
    if view().written and len(token_ids) == (context_size or 0) + 1:
        token_ids = token_ids[:-1]
    return _made(token_ids)


def _made(token_ids: tuple[int, ...]) -> Run:
    asked = Run(view().model, token_ids, view().interventions)
    try:
        _run_length(*asked)
    except InterventionError as error:
        if is_of_other():
            raise
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


def _end_page(error: InlookError) -> NoReturn:
    if is_of_other() or isinstance(error, AwayError):
        raise error
    st.error(escape_markdown(str(error)), icon=":material/error:")
    st.stop()
