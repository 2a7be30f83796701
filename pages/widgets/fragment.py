"""A part of a page that is drawn anew by itself: Streamlit's fragment, which knows where it lies.

Use it instead of `st.fragment`: so `pages.state.visit.put` knows whether a click in here changes
something that stands elsewhere.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from pages.state.visit import current_fragment, note_parent
from pages.widgets.sentence import errors_are_sentences

Given = ParamSpec("Given")


def fragment(draw: Callable[Given, None], run_every: float | None = None) -> Callable[Given, None]:
    """Let a function that draws a part of a page be run by itself after a click in that part.

    Args:
        draw: The function.
        run_every: Seconds after which it is run again and again; None for clicks alone.
    """

    def body(parent: str | None, *args: Given.args, **kwargs: Given.kwargs) -> None:
        note_parent(parent)
        with errors_are_sentences():
            draw(*args, **kwargs)

    alone = st.fragment(functools.wraps(draw)(body), run_every=run_every)

    @functools.wraps(draw)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> None:
        alone(current_fragment(), *args, **kwargs)

    return call
