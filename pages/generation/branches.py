"""Which texts were written from this prompt?"""

import streamlit as st

from model_hooks.read.recorded import decode_after
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.draft import Draft, Ids, ids_of
from pages.text import escape_markdown, visible
from pages.widgets.offer import offer
from viz.numbers import counted

TIP_TOKENS = 12

_decode_after = computed(decode_after)


def draw(draft: Draft) -> None:
    """List the branches, if there are others than the text; choosing one goes there."""
    if not draft.tips or (len(draft.tips) == 1 and draft.tip is not None):
        return
    st.subheader("Branches")
    texts = [ids_of(tip) for tip in draft.tips]
    offer(
        st.radio,
        "Every text you wrote from this prompt",
        texts,
        writing.go_to,
        key="generation.branches",
        shown=None if draft.tip is None else texts[draft.tip],
        format_func=lambda text: _end_of(draft, text),
    )
    st.button(
        "Forget the others",
        key="generation.forget",
        icon=":material/delete:",
        on_click=writing.forget_branches,
    )


def _end_of(draft: Draft, text: Ids) -> str:
    before = (*draft.prompt_ids, *text[:-TIP_TOKENS])
    end = _decode_after(draft.model_name, before, text[-TIP_TOKENS:])
    tail = visible(end).replace("·", " ")
    dots = "…" if len(text) > TIP_TOKENS else ""
    return escape_markdown(f"{counted(len(text), 'token')}: {dots}{tail}")
