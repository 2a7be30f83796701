"""How are two runs shown side by side? A on the left, B on the right, and what lies between.

draw_each(found, lambda shown, suffix: chart(..., key=f"attention_matrix{suffix}"))
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import streamlit as st

from model_hooks import InlookError
from model_hooks.opening.names import short_name
from pages.ask.pair import Both, has_pair, in_a
from pages.state.visit import view
from pages.text import escape_markdown

Found = TypeVar("Found")
OF_A = ".a"
"""Ends the keys of what is drawn of run A."""


def draw_each(
    found: Both[Found], draw: Callable[[Found, str], None], *, wide: bool = False
) -> None:
    """Draw the same of both runs, or of the only one.

    Args:
        found: What to draw.
        draw: Draws it of one run, which `view()` is about, with what to end its keys with.
        wide: Draw A over B instead of beside it.
    """
    if found.a is None:
        draw(found.b, "")
        if found.lacks:
            st.caption(f"A is not shown here: {escape_markdown(found.lacks)}")
        return
    left, right = (st.container(), st.container()) if wide else st.columns(2, gap="medium")
    for place, shown, suffix in ((left, found.a, OF_A), (right, found.b, "")):
        with place, in_a() if suffix else nullcontext():
            st.markdown(heading(suffix))
            draw(shown, suffix)


def heading(suffix: str) -> str:
    """Say which run stands below, and of which model, as Markdown."""
    badge = ":violet-badge[A, pinned]" if suffix else ":blue-badge[B]"
    return f"{badge} {escape_markdown(short_name(view().model))}"


@contextmanager
def difference() -> Iterator[None]:
    """Draw what lies between the runs; where nothing can be subtracted, say why instead."""
    try:
        yield
    except InlookError as error:
        st.caption(f"No B - A here: {escape_markdown(str(error))}")


def draw_between(draw: Callable[[], None]) -> None:
    """Draw what lies between A and B, if there is a pair; one sentence where there is nothing."""
    if has_pair():
        with difference():
            draw()
