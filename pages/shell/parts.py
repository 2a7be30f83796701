"""What is drawn anew with the page, so that a click draws no more than it changes?

The page, and with it the text of the bar and its length, is one part of the window: a step or
another token draws it in one run, and leaves sidebar and buttons as they stand. Streamlit's
fragments have one drawback: a click in one waits until its run is over. So whatever writes for
long is drawn outside of them.
"""

from collections.abc import Callable, Collection
from functools import cache

import streamlit as st

from pages.ask import writing
from pages.state.mailbox import Message
from pages.state.view import View, fields_of
from pages.state.visit import UNREADABLE, uses
from pages.teach.waits import guess_due
from pages.text import escape_markdown
from pages.widgets.fragment import fragment
from pages.widgets.heading import page_title
from pages.widgets.sentence import errors_are_sentences
from viz.numbers import counted

OF_TEXT = (
    *("model", "prompt", "turns", "asked", "written", "pos", "decoding", "use_cache"),
    *("interventions", "pinned"),
)
"""Fields that every page is about."""
WITH_PAGE = Message[Callable[[], None]]("parts.with_page")
"""What to draw first whenever the page is drawn; it may lie elsewhere in the window."""
GUESS_FIRST = (
    "**Guess first.** What this page shows is drawn as soon as you press **Show what happens** "
    "beside it, with a guess or without one."
)
IN_WORDS = {
    "model": "the model",
    "prompt": "the prompt",
    "turns": "the conversation",
    "asked": "how the conversation goes on",
    "written": "what was written",
    "pinned": "the pinned run A",
}
"""What readers call fields of a link."""


@cache
def page_part(draw: Callable[[], None], title: str, *, has_long_runs: bool) -> Callable[[], None]:
    """Return what draws a page, after what went wrong with the text.

    Args:
        draw: Draws the page.
        title: Its title, which stands there while the rest waits for a guess.
        has_long_runs: Whether something on the page runs for long and can be stopped there: then
            the page is no part, and every click draws the whole window.
    """

    def page() -> None:
        (_draw_page if has_long_runs else _page)(draw, title, WITH_PAGE.take())

    return page


def uses_text() -> None:
    """Say that what is drawn here shows the text, how it was run and how it goes on."""
    uses(*(name for name in fields_of(View) if name.partition(".")[0] in OF_TEXT))


def _draw_page(draw: Callable[[], None], title: str, draw_first: Callable[[], None] | None) -> None:
    uses_text()
    if draw_first is not None:
        draw_first()
    if problem := writing.PROBLEM.peek():
        st.error(escape_markdown(problem), icon=":material/error:")
    if why := writing.STOPPED.peek():
        st.info(f"The run stopped: {why}.", icon=":material/pause_circle:")
    if names := UNREADABLE.peek():
        st.warning(damage(names), icon=":material/link_off:")
    if guess_due() is None:
        with errors_are_sentences():
            draw()
    else:
        page_title(title)
        st.info(GUESS_FIRST, icon=":material/visibility_off:")
    for said in (writing.PROBLEM, writing.STOPPED, UNREADABLE):
        said.take()  # not before: a page that is drawn twice says it twice


def damage(names: Collection[str]) -> str:
    """Say what of a link could not be read."""
    lost = [words for name, words in IN_WORDS.items() if name in names]
    if n_others := len(names) - len(lost):
        lost.append(counted(n_others, "other choice" if lost else "choice"))
    *most, last = lost
    what = f"{', '.join(most)} and {last}" if most else last
    return (
        f"Part of this link is damaged or was cut off: {what} could not be read. What stands here "
        "instead is what Inlook opens with. If somebody sent you the link, ask for it once more."
    )


_page = fragment(_draw_page, key="page")
