"""A conversation instead of a text: turns to write, for models with a chat template.

The template makes one text of them, which is the prompt from then on; the turns stay in the view,
so that the tokens can be coloured by who speaks, and the model's answer becomes the next turn.
"""

import zlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from model_hooks import InlookError
from model_hooks.read.conversation import (
    Turns,
    answer_of,
    can_converse,
    write_conversation,
)
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.state.mailbox import reported
from pages.state.visit import put, uses, view

NAMES = {"system": "How the model is to behave (system)", "user": "You", "assistant": "The model"}
HELP = (
    "Write to the model in turns. Its own chat template makes one text of them, which is the "
    "prompt; what the model answers becomes the next turn."
)
NO_TEXT = (
    "No prompt becomes the tokens of this conversation, because of those that this tokenizer adds "
    "to every prompt."
)
NOTHING_SAID = "Say something to the model first."

_can_converse = computed(can_converse)
_write_conversation = computed(write_conversation)
_answer_of = computed(answer_of)


def draw(draft: Callable[[], Draft | None]) -> None:
    """Draw the button that opens the conversation, where the model has a template for one.

    Args:
        draft: Returns the text that is being written, if there is one.
    """
    try:
        if not _can_converse(view().model):
            return
    except InlookError:
        return
    button = st.popover(
        "Chat", key="text_bar.chat", icon=":material/chat:", help=HELP, on_change="rerun"
    )
    if is_open(button):
        uses("model", "prompt", "turns", "written")
        with button:
            _edit(so_far(draft()))


def is_open(button: Any) -> bool:
    """Tell whether a popover is unfolded: only then its content is drawn."""
    return bool(button.open)


def so_far(draft: Draft | None) -> Turns:
    """Return the turns of the view, and what the model has answered to them."""
    turns = turns_of_view()
    if not turns or draft is None or not draft.written:
        return turns
    answer = _answer_of(draft.model_name, draft.prompt_ids, draft.written)
    return (*turns, ("assistant", answer)) if answer else turns


def turns_of_view() -> Turns:
    """Return the conversation that the prompt was made of; nothing where it is a plain text."""
    parts = (turn.partition(":") for turn in view().turns)
    return tuple((role, said) for role, _, said in parts)


def speakers(draft: Draft) -> tuple[str, ...]:
    """Return whose words each token of the text is; nothing where it is no conversation."""
    if not view().turns:
        return ()
    try:
        written = _write_conversation(draft.model_name, turns_of_view())
    except InlookError:
        return ()
    if len(written.speakers) != len(draft.prompt_ids):  # the prompt was changed since
        return ()
    return written.speakers + ("assistant",) * len(draft.written)


def _edit(turns: Turns) -> None:
    generation = zlib.crc32(repr((view().model, turns)).encode())
    rows = turns if turns[:1] and turns[0][0] == "system" else (("system", ""), *turns)
    keys = [f"chat.{generation}.{number}" for number in range(len(rows) + 1)]

    def ask() -> None:
        said = [(reported(key) or "").strip() for key in keys]
        roles = [*(role for role, _ in rows), "user"]
        _take(tuple((role, text) for role, text in zip(roles, said, strict=True) if text))

    with st.form(f"chat.{generation}", border=False):
        for key, (role, said) in zip(keys, rows, strict=False):
            st.text_area(NAMES[role], said, key=key, height="content")
        st.text_area("Your next turn", key=keys[-1], height="content")
        st.form_submit_button("Ask", on_click=ask, type="primary", icon=":material/send:")


def _take(turns: Turns) -> None:
    """Make a conversation the prompt, and let the model answer; a callback."""
    if not any(role == "user" for role, _ in turns):
        writing.PROBLEM.leave(NOTHING_SAID)
        return
    try:
        written = _write_conversation(view().model, turns)
    except InlookError as error:
        writing.PROBLEM.leave(str(error))
        return
    if written.prompt is None:
        writing.PROBLEM.leave(NO_TEXT)
        return
    put(prompt=written.prompt, turns=tuple(f"{role}:{said}" for role, said in turns), written=())
    writing.start_or_stop()
