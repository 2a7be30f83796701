"""Attention: which earlier tokens does each head read from?"""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks.host import Run
from pages.ask.pair import has_pair
from pages.ask.session import info, run, tokens_of_run
from pages.attention import (
    ablation,
    all_heads,
    arithmetic,
    between,
    matrix,
    one_query,
    several,
    sharpest,
)
from pages.attention.choices import Tab
from pages.state.visit import is_of_other
from pages.text import visible
from pages.widgets.bind import tabs
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.long_text import say_window, window_around
from pages.widgets.next_pages import try_next

# What lies below the lines, one at a time: a click redraws only what is seen.
DEEPER: dict[Tab, tuple[str, str]] = {
    "several": ("Several tokens", several.HELP),
    "arithmetic": ("One query, one key: the arithmetic", arithmetic.HELP),
    "ablation": ("What is it good for?", ablation.HELP),
}
NEXT_PAGES = {
    "efficient_attention": "**Efficient attention**: what happens when tokens may read less",
    "positions": "**Positions**: how a head knows which token is near",
    "feedforward": "**Feedforward**: what happens to a token after it has read the others",
    "layers": "**Layers**: when the prediction forms",
}


def draw() -> None:
    """Draw the page."""
    page_title("Attention")
    st.markdown(
        "**Which earlier tokens does each head read from?** A token learns what came before it by "
        "attention. Every layer looks back several times in parallel; each of these looks is a "
        "head."
    )
    _explore(run(), tokens_of_run())
    try_next(
        NEXT_PAGES,
        "Sort the heads by **Previous token**, then open the first one.",
        "Write a prompt that repeats itself, and sort by **Induction**.",
        "Hide the first token: which heads have anything left?",
    )


@fragment
def _explore(asked: Run, tokens: Sequence[str]) -> None:
    """Draw everything below the question; a click reruns nothing else."""
    answer = st.container(key="answer")
    say_window(window_around(len(tokens), current_position(len(tokens))), len(tokens))
    grid, one_head = _side_by_side()
    with grid:
        draw_each(lambda: all_heads.draw(run(), info()))
    matrices: dict[bool, tuple[matrix.Shown, slice]] = {}

    def draw_matrix() -> None:
        found = matrix.draw(run(), info(), tokens_of_run(), *between.head_looked_at())
        matrices[is_of_other()] = found

    def draw_query() -> int:
        found = matrices[is_of_other()]
        return one_query.draw(run(), tokens_of_run(), *found, *between.head_looked_at())

    with one_head:
        if has_pair():
            between.pick_head_of_a()
        draw_each(draw_matrix)
        draw_between(between.draw)
    query = draw_each(draw_query)
    layer, head = between.head_looked_at()
    with answer:
        sharpest.draw(asked, [visible(token) for token in tokens], layer, head, query)
    _deeper({of_other: shown for of_other, (shown, _) in matrices.items()})


def _side_by_side() -> Sequence[DeltaGenerator]:
    """Return places for the grid and for one head; with a pair, each takes the whole width."""
    if has_pair():
        return st.container(), st.container()
    return st.columns([11, 12], gap="large")


def _deeper(shown: Mapping[bool, matrix.Shown]) -> None:
    """Draw what lies below the lines.

    Args:
        shown: What the matrix shows, of the visitor's run (False) and of the pinned one (True).
    """

    def draw_tab(name: Tab) -> None:
        asked, tokens = run(), tokens_of_run()
        labels, query = [visible(token) for token in tokens], current_position(len(tokens))
        if name == "several":
            several.draw(tokens, shown[is_of_other()], query)
        elif name == "arithmetic":
            arithmetic.draw(asked, labels, *between.head_looked_at(), query)
        else:
            ablation.draw(asked, labels, *between.head_looked_at(), query)

    names = [title for title, _ in DEEPER.values()]
    for (name, (title, help_text)), tab in zip(
        DEEPER.items(), tabs("attention.tab", [*DEEPER], labels=names), strict=True
    ):
        if not tab.open:
            continue
        with tab:
            heading(title, help=help_text)
            draw_each(partial(draw_tab, name))
