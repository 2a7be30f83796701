"""A conversation instead of a text: turns to write, for models with a chat template.

The template makes one text of them, which is the prompt from then on; the turns stay in the view,
so that the tokens can be coloured by who speaks, and the model's answer becomes the next turn.
"""

import zlib
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import streamlit as st

from model_hooks import Decoding, InlookError
from model_hooks.read.conversation import (
    Turns,
    answer_of,
    can_converse,
    choices_of_template,
    write_conversation,
)
from model_hooks.text.conversations import Asked
from model_hooks.write.own import own_decoding
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.ask.session import info
from pages.state.mailbox import reported
from pages.state.visit import put, uses, view
from pages.widgets.bind import bind

NAMES = {
    "system": "How the model is to behave (system)",
    "user": "You",
    "assistant": "The model",
    "tool": "A tool",
}
NEXT = {"user": "You speak", "tool": "A tool answers"}
THINKING = {None: "as the template has it", True: "yes", False: "no"}
HELP = (
    "Write to the model in turns. Its own chat template makes one text of them, which is the "
    "prompt; what the model answers becomes the next turn."
)
NO_TEXT = (
    "No prompt becomes the tokens of this conversation, because of those that this tokenizer adds "
    "to every prompt."
)
NOTHING_SAID = "Say something to the model first."
FOLD_HELP = "Fold what the chat template wrote around the turns, in the text above every page."
BEGINS_HELP = "The model goes on from here, as if it had said so: the answer's first words."
ANSWER_HELP = (
    "The template's last words say that the model is to speak (`add_generation_prompt`). Without "
    "them, the model first writes who speaks next."
)
TOOLS_HELP = (
    "Functions that the model may ask for, as a list in JSON. Nothing is called here: what it asks "
    "for is its answer, and you say what a tool answered."
)

_can_converse = computed(can_converse)
_write_conversation = computed(write_conversation)
_answer_of = computed(answer_of)
_choices_of_template = computed(choices_of_template)


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
        uses("model", "prompt", "turns", "asked", "written", "decoding")
        with button:
            if view().turns:
                bind(st.toggle, "Fold the template's tokens", "folds_template", help=FOLD_HELP)
            _edit(so_far(draft()))


def is_open(button: Any) -> bool:
    """Tell whether a popover is unfolded: only then its content is drawn."""
    return bool(button.open)


def so_far(draft: Draft | None) -> Turns:
    """Return the turns of the view, and what the model has answered to them."""
    turns = turns_of_view()
    asked = view().asked
    if not turns or draft is None or not draft.written or not asked.answer:
        return turns
    said = draft.prompt_ids, draft.written, asked.beginning
    answer = _answer_of(draft.model_name, *said)
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
        written = _write_conversation(draft.model_name, turns_of_view(), view().asked)
    except InlookError:
        return ()
    if len(written.speakers) != len(draft.prompt_ids):  # the prompt was changed since
        return ()
    return written.speakers + ("assistant",) * len(draft.written)


def _edit(turns: Turns) -> None:
    generation = zlib.crc32(repr((view().model, turns)).encode())
    rows = turns if turns[:1] and turns[0][0] == "system" else (("system", ""), *turns)
    keys = [f"chat.{generation}.{number}" for number in range(len(rows) + 1)]
    own = f"chat_options.{generation}"

    def ask() -> None:
        said = [(reported(key) or "").strip() for key in keys]
        roles = [*(role for role, _ in rows), reported(f"{own}.next") or "user"]
        spoken = tuple((role, text) for role, text in zip(roles, said, strict=True) if text)
        _take(spoken, _asked(own))

    with st.form(f"chat.{generation}", border=False):
        for key, (role, said) in zip(keys, rows, strict=False):
            st.text_area(NAMES.get(role, "Another speaker"), said, key=key, height="content")
        st.text_area("The next turn", key=keys[-1], height="content")
        st.form_submit_button("Ask", on_click=ask, type="primary", icon=":material/send:")
        with st.expander("How it goes on"):
            _options(own, has_answer=turns != turns_of_view())


def _options(key: str, *, has_answer: bool) -> None:
    """Draw what a template can be asked for besides the turns."""
    asked, may = view().asked, _choices_of_template(view().model)
    begins = "" if has_answer else asked.begins
    st.text_input("The answer begins with", begins, key=f"{key}.begins", help=BEGINS_HELP)
    st.checkbox("Ask for an answer", asked.answer, key=f"{key}.answer", help=ANSWER_HELP)
    if may.thinking:
        at = list(THINKING).index(asked.thinking)
        st.selectbox("Think first", list(THINKING), at, THINKING.__getitem__, key=f"{key}.thinking")
    if may.tools:
        st.selectbox("In the next turn", list(NEXT), 0, NEXT.__getitem__, key=f"{key}.next")
        st.text_area("Tools", asked.tools, key=f"{key}.tools", height="content", help=TOOLS_HELP)


def _asked(key: str) -> Asked:
    """Return what was chosen there; what is not offered is as the template has it."""
    return Asked(
        answer=reported(f"{key}.answer") is not False,
        begins=reported(f"{key}.begins") or "",
        thinking=reported(f"{key}.thinking"),
        tools=reported(f"{key}.tools") or "",
    )


def _take(turns: Turns, asked: Asked) -> None:
    """Make a conversation the prompt, and let the model answer; a callback."""
    if not any(role == "user" for role, _ in turns):
        writing.PROBLEM.leave(NOTHING_SAID)
        return
    try:
        written = _write_conversation(view().model, turns, asked)
        decoding = _decoding_to_begin_with()
    except InlookError as error:
        writing.PROBLEM.leave(str(error))
        return
    if written.prompt is None:
        writing.PROBLEM.leave(NO_TEXT)
        return
    changes = {f"asked.{one.name}": getattr(asked, one.name) for one in fields(Asked)}
    spoken = tuple(f"{role}:{said}" for role, said in turns)
    put({**changes, "prompt": written.prompt, "turns": spoken, "decoding": decoding, "written": ()})
    writing.start_or_stop()


def _decoding_to_begin_with() -> Decoding:
    """Return how the answer's tokens are picked: in a first turn as the model's makers advise.

    What a visitor has chosen stays.

    Raises:
        InlookError: The model cannot be opened.
    """
    now, of = view().decoding, info()
    if view().turns or now != Decoding(seed=now.seed):
        return now
    return replace(own_decoding(of.generation_settings, of.vocab_size).decoding, seed=now.seed)
