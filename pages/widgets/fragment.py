"""A part of a page that is drawn anew by itself: Streamlit's fragment, which knows where it lies.

Use it instead of `st.fragment`: so `pages.state.visit.put` knows whether a click in here changes
something that stands elsewhere.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from pages.state.visit import current_fragment, note_parent, note_part
from pages.widgets.sentence import errors_are_sentences

Given = ParamSpec("Given")


def fragment(
    draw: Callable[Given, None], run_every: float | None = None, key: str | None = None
) -> Callable[Given, None]:
    """Let a function that draws a part of a page be run by itself after a click in that part.

    Args:
        draw: The function.
        run_every: Seconds after which it is run again and again; None for clicks alone.
        key: Names one of the parts of which the window is made (`pages/shell/parts.py`): a click
            elsewhere can have it drawn anew, too.
    """

    def body(parent: str | None, *args: Given.args, **kwargs: Given.kwargs) -> None:
        note_parent(parent)
        if key is not None:
            note_part(key)
        with errors_are_sentences():
            draw(*args, **kwargs)

    alone = st.fragment(functools.wraps(draw)(body), run_every=run_every, key=key)

    @functools.wraps(draw)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> None:
        alone(current_fragment(), *args, **kwargs)

    return call


def of_window(draw: Callable[[], None]) -> Callable[[], None]:
    """Let what is drawn with a page outlive it: Streamlit takes away what belongs to a page.

    Called outside of the page, with what the page is to draw.
    """
    window = ThreadState.get().active_script_hash

    def call() -> None:
        with ThreadState.scoped(active_script_hash=window):
            draw()

    return call
