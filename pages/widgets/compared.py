"""How are two runs shown side by side? A and B by the same function, on one scale, and B - A.

    draw_each(lambda: matrix.draw(run(), ...))     # once, or, with a pinned run, once of each
    draw_between(lambda: ...)                      # only with a pinned run

Controls are drawn once, over both: of the pinned run, `bind` gives their values alone, and nothing
can be clicked there.
"""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from model_hooks import InlookError
from model_hooks.opening.names import short_name
from pages.ask.pair import has_pair, in_a
from pages.state.visit import view
from pages.text import escape_markdown
from pages.widgets.bind import controls_in
from pages.widgets.one_scale import collected, emit_on_one_scale

Drawn = TypeVar("Drawn")


def draw_each(draw: Callable[[], Drawn], *, wide: bool = False) -> Drawn:
    """Draw the same of both runs, or of the only one; return what it returns of B.

    Args:
        draw: Draws it of the run that `session.run()` and `view()` are about.
        wide: Draw A over B instead of beside it.
    """
    if not has_pair():
        return draw()
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    left, right = (st.container(), st.container()) if wide else st.columns(2, gap="medium")
    of_a = []
    with left:
        try:
            with in_a(), collected() as of_a:
                st.markdown(_heading(":violet-badge[A, pinned]"))
                draw()
        except InlookError as error:
            st.caption(f"A is not shown here: {escape_markdown(str(error))}")
    with right, controls_in(controls), collected() as of_b:
        st.markdown(_heading(":blue-badge[B]"))
        drawn = draw()
    emit_on_one_scale(of_a, of_b)
    return drawn


def draw_between(draw: Callable[[], None]) -> None:
    """Draw what lies between A and B, if there is a pair; one sentence where there is nothing."""
    if not has_pair():
        return
    try:
        draw()
    except InlookError as error:
        st.info(f"No B - A here: {escape_markdown(str(error))}", icon=":material/difference:")


def _heading(badge: str) -> str:
    return f"{badge} {escape_markdown(short_name(view().model))}"
