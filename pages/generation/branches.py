"""Which texts were written from this prompt?"""

import streamlit as st

from pages.ask import writing
from pages.ask.draft import Draft, Ids, ids_of
from pages.generation.text import end_of
from pages.text import escape_markdown
from pages.widgets.heading import heading
from pages.widgets.offer import offer
from viz.numbers import counted

TIP_TOKENS = 12


def draw(draft: Draft) -> None:
    """List the branches, if there are others than the text; choosing one goes there."""
    if not draft.tips or (len(draft.tips) == 1 and draft.tip is not None):
        return
    heading("Branches")
    texts = [ids_of(tip) for tip in draft.tips]
    offer(
        st.radio,
        "Every text you wrote from this prompt",
        texts,
        writing.go_to,
        key="generation.branches",
        shown=None if draft.tip is None else texts[draft.tip],
        format_func=lambda text: _name_of(draft, text),
    )
    st.button(
        "Forget the others",
        key="generation.forget",
        icon=":material/delete:",
        on_click=writing.forget_branches,
    )


def _name_of(draft: Draft, text: Ids) -> str:
    n_shown = min(len(text), TIP_TOKENS)
    end = end_of(draft.model_name, draft.prompt_ids + text, n_shown)
    dots = "…" if len(text) > n_shown else ""
    return escape_markdown(f"{counted(len(text), 'token')}: {dots}{end}")
