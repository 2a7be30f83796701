"""Positions: how does the model know the order of words?"""

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from model_hooks.read.positions import Positions, positions_of
from pages.ask.computed import computed
from pages.ask.session import info, run, tokens_of_run
from pages.positions import added, longer, pairs, shift, swap, turned, waves
from pages.positions.answer import answer, how_found
from pages.positions.choices import Tab
from pages.positions.subject import Subject
from pages.text import visible
from pages.widgets.bind import tabs
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next


class Deeper(NamedTuple):
    """One deeper view."""

    title: str
    help: str
    draw: Callable[[Subject], None]


# One at a time: a click redraws only what is seen.
DEEPER: dict[Tab, Deeper] = {
    "turned": Deeper("Turn a query and a key", turned.HELP, turned.draw),
    "pairs": Deeper("Which pairs matter", pairs.HELP, pairs.draw),
    "waves": Deeper("Wavelengths", waves.HELP, waves.draw),
    "vectors": Deeper("One vector per position", added.VECTORS_HELP, added.draw_vectors),
    "bias": Deeper("A bias by distance", added.BIAS_HELP, added.draw_bias),
    "swap": Deeper("Swap two tokens", swap.HELP, swap.draw),
    "shift": Deeper("Move the text", shift.HELP, shift.draw),
    "longer": Deeper("Longer texts", longer.HELP, longer.draw),
}
NEXT_PAGES = {
    "attention": "**Attention**: which heads look at the token just before?",
    "block_architecture": "**Block architecture**: what else changed since 2017?",
    "efficient_attention": "**Efficient attention**: how far back does a layer look at all?",
}

_positions_of = computed(positions_of, says="Trying the model at several positions…")


def draw() -> None:
    """Draw the page."""
    page_title("Positions")
    st.markdown(
        "**How does the model know the order of words?** Attention alone would read a text like a "
        "bag of words: something has to tell it where each token stands."
    )
    asked, tokens = run(), tokens_of_run()
    facts: Positions = _positions_of(asked.model_name)
    st.markdown(answer(info(), facts))
    st.caption(how_found(facts))
    if facts.reason:
        st.info(facts.reason, icon=":material/info:")
    _explore(Subject(asked, info(), tokens, tuple(map(visible, tokens)), facts))
    try_next(NEXT_PAGES)


@fragment
def _explore(subject: Subject) -> None:
    """Draw one deeper view at a time; a click reruns nothing else."""
    offered = tabs_of(subject.facts)
    titles = [DEEPER[name].title for name in offered]
    for name, tab in zip(offered, tabs("positions.tab", offered, labels=titles), strict=True):
        if tab.open:
            with tab:
                heading(DEEPER[name].title, help=DEEPER[name].help)
                DEEPER[name].draw(subject)


def tabs_of(facts: Positions) -> list[Tab]:
    """Return the deeper views that a model has."""
    own: list[Tab] = []
    if any(facts.rotations):
        own = ["turned", "pairs", "waves"]
    elif facts.table is not None:
        own = ["vectors"]
    elif facts.kind in ("alibi", "relative") and facts.bias is not None:
        own = ["bias"]
    return [*own, "swap", "shift", "longer"]
