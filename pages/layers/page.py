"""Layers: when does the prediction form?"""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.read.recorded import abilities_of
from pages.ask.computed import computed
from pages.ask.session import info, run, tokens_of_run
from pages.layers import (
    between,
    growth,
    halves,
    parts,
    parts_between,
    reading,
    table,
    tuned,
    watched,
)
from pages.layers.choices import Tab
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.bind import tabs
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position, pick_layer, pick_position
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next
from pages.widgets.words import pick_words, token_name, watched_ids

# What lies below the table, one at a time: a click redraws only what is seen.
DEEPER: dict[Tab, tuple[str, str]] = {
    "words": ("Watched words", watched.HELP),
    "halves": ("Inside one layer", halves.HELP),
    "parts": ("What adds up to the score", parts.HELP),
    "growth": ("The vector itself", growth.HELP),
}
NEXT_PAGES = {
    "attention": "**Attention**: what did the layers read to get there?",
    "feedforward": "**Feedforward**: which neurons pushed the word?",
    "lm_head": "**LM head**: how do the final scores become a choice?",
}

_abilities = computed(abilities_of)


def draw() -> None:
    """Draw the page."""
    page_title("Layers")
    st.markdown(
        "**When does the prediction form?** Each layer adds to a token's vector. Here you read "
        "that vector after every layer as if it were the last, and see the next word take shape."
    )
    _explore(run(), tokens_of_run())
    try_next(NEXT_PAGES)


@fragment
def _explore(asked: Run, tokens: Sequence[str]) -> None:
    """Draw everything below the question; a click reruns nothing else."""
    pos = current_position(len(tokens))
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pick_position(tokens, label="Token to read")
    try:
        read = reading.read(asked, pos)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    name = token_name(read.final_id)
    in_words.markdown(reading.answer(read, info(), name, visible(tokens[pos]), view().decoding))
    heading("The guess after each layer", help=table.HELP)
    draw_each(_draw_table, wide=True)
    draw_between(lambda: between.draw(pos))
    pick_words(read.output)
    _deeper()
    draw_between(lambda: tuned.draw(pos))


def _draw_table() -> None:
    """Draw the lens of the run that is looked at."""
    asked, tokens = run(), tokens_of_run()
    pos = current_position(len(tokens))
    table.draw(asked, info(), _abilities(asked.model_name), tokens, pos)
    reading.check_last_row(reading.read(asked, pos), info())


@fragment
def _deeper() -> None:
    """Draw what lies below the table; another layer leaves all above as it is."""
    pick_layer(info())
    names = [title for title, _ in DEEPER.values()]
    for (name, (title, help_text)), tab in zip(
        DEEPER.items(), tabs("layers.tab", [*DEEPER], labels=names), strict=True
    ):
        if not tab.open:
            continue
        with tab:
            heading(title, help=help_text)
            draw_each(partial(_draw_tab, name))
            if name == "parts":
                draw_between(_draw_parts_between)


def _draw_parts_between() -> None:
    read = reading.read(run(), current_position(len(tokens_of_run())))
    parts_between.draw(read.final_id)


def _draw_tab(name: Tab) -> None:
    """Draw what a tab shows of the run that is looked at."""
    asked, pos = run(), current_position(len(tokens_of_run()))
    layer, abilities = min(view().layer, info().n_layers - 1), _abilities(asked.model_name)
    read = reading.read(asked, pos)
    words = watched_ids(read.output)
    if name == "words":
        watched.draw(info(), abilities, read, words, layer)
    elif name == "halves":
        halves.draw(info(), abilities, read, layer)
    elif name == "parts":
        parts.draw(asked, info(), abilities, read, words, pos, layer)
    else:
        growth.draw(asked, info(), pos, layer)
