"""How is the next token predicted before and after a text was changed, in words and bars?"""

import streamlit as st

from model_hooks.read.moved import moved_share
from model_hooks.read.recorded import each_token
from pages.ask.computed import computed
from pages.text import visible
from pages.widgets.before_after import BeforeAfter, draw_before_after, sentence
from viz.numbers import percent

_each_token = computed(each_token)


def draw_compared(shown: BeforeAfter, model_name: str, *, key: str) -> None:
    """Draw two predictions of a model, and say how much probability moved between tokens."""

    def names(token_ids: list[int]) -> list[str]:
        return [visible(token) for token in _each_token(model_name, tuple(token_ids))]

    share = moved_share(shown.before, shown.after)
    st.markdown(
        f"{sentence(shown, 'the text', names)} In all, {percent(share)} of the probability went to "
        "other tokens."
    )
    draw_before_after(shown, key=key, names=names)
