"""Of which parts is the window made, so that a click draws no more anew than it changes?

The text of the bar, its length and the page are parts: a step or another token draws these three,
and leaves sidebar and buttons as they stand. Streamlit's fragments have one drawback: a click in
one waits until its run is over. So whatever writes for long is drawn outside of them.
"""

from collections.abc import Callable
from functools import cache

import streamlit as st

from pages.ask import writing
from pages.state.view import View, fields_of
from pages.state.visit import uses
from pages.text import escape_markdown
from pages.widgets.fragment import fragment

OF_TEXT = ("model", "prompt", "turns", "written", "pos", "decoding", "use_cache", "interventions")
"""Fields that every page is about."""


@cache
def page_part(draw: Callable[[], None], *, has_long_runs: bool) -> Callable[[], None]:
    """Return what draws a page, after what went wrong with the text.

    Args:
        draw: Draws the page.
        has_long_runs: Whether something on the page runs for long and can be stopped there: then
            the page is no part, and every click draws the whole window.
    """

    def page() -> None:
        (_draw_page if has_long_runs else _page)(draw)

    return page


def uses_text() -> None:
    """Say that what is drawn here shows the text, how it was run and how it goes on."""
    uses(*(name for name in fields_of(View) if name.partition(".")[0] in OF_TEXT))


def _draw_page(draw: Callable[[], None]) -> None:
    uses_text()
    if problem := writing.PROBLEM.peek():
        st.error(escape_markdown(problem), icon=":material/error:")
    draw()
    writing.PROBLEM.take()  # not before: a page that is drawn twice says it twice


_page = fragment(_draw_page, key="page")
