"""Attention: which earlier tokens does each head read from?"""

from collections.abc import Sequence

import streamlit as st

from model_hooks.host import Run
from pages.ask.session import info, run, tokens_of_run
from pages.attention import ablation, all_heads, arithmetic, matrix, one_query, several, sharpest
from pages.attention.choices import Tab
from pages.text import visible
from pages.widgets.bind import tabs
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
    grid, one_head = st.columns([11, 12], gap="large")
    with grid:
        layer, head = all_heads.draw(asked, info())
    with one_head:
        shown, span = matrix.draw(asked, info(), tokens, layer, head)
    query = one_query.draw(asked, tokens, shown, span, layer, head)
    labels = [visible(token) for token in tokens]
    with answer:
        sharpest.draw(asked, labels, layer, head, query)
    _deeper(asked, tokens, labels, shown, layer, head, query)


def _deeper(
    asked: Run,
    tokens: Sequence[str],
    labels: Sequence[str],
    shown: matrix.Shown,
    layer: int,
    head: int | None,
    query: int,
) -> None:
    names = [title for title, _ in DEEPER.values()]
    for (name, (title, help_text)), tab in zip(
        DEEPER.items(), tabs("attention.tab", [*DEEPER], labels=names), strict=True
    ):
        if not tab.open:
            continue
        with tab:
            heading(title, help=help_text)
            if name == "several":
                several.draw(tokens, shown, query)
            elif name == "arithmetic":
                arithmetic.draw(asked, labels, layer, head, query)
            else:
                ablation.draw(asked, labels, layer, head, query)
