"""Block architecture: what is inside a block, and what changed?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.read.architecture import block_facts
from pages.ask.computed import computed
from pages.ask.pair import of_both
from pages.ask.session import info, run, tokens_of_run
from pages.block_architecture import (
    activations,
    between,
    blocks,
    norm_kind,
    norm_place,
    twins,
    whole,
)
from pages.block_architecture.choices import Tab
from pages.block_architecture.scene import Scene
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.bind import tabs
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position, pick_layer, pick_position
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next


class Deeper(NamedTuple):
    """What lies below the two blocks, in a tab: a click redraws only what is seen."""

    name: Tab
    label: str
    title: str
    help: str | None
    draw: Callable[[Scene], None]
    of_both: bool = True
    """Whether it is about the run that is looked at."""


DEEPER = (
    Deeper("whole", "The whole model", "What was kept of the first transformer", None, whole.draw),
    Deeper(
        "place",
        "Norm before or after",
        "Norm before or after each part",
        norm_place.HELP,
        norm_place.draw,
    ),
    Deeper(
        "kind",
        "LayerNorm, RMSNorm",
        "LayerNorm and RMSNorm on one vector",
        norm_kind.HELP,
        norm_kind.draw,
    ),
    Deeper(
        "activation",
        "ReLU, GELU, SwiGLU",
        "ReLU, GELU, SwiGLU",
        activations.HELP,
        activations.draw,
    ),
    Deeper(
        "twins",
        "The twins",
        "The twins: one choice at a time",
        twins.HELP,
        lambda scene: twins.draw(),
        of_both=False,
    ),
)
NEXT_PAGES = {
    "feedforward": "**Feedforward**: what its neurons do",
    "positions": "**Positions**: how the model knows the order of words",
    "efficient_attention": "**Efficient attention**: fewer keys, shorter reach",
}

_block_facts = computed(block_facts, says="Taking the block apart…")


def draw() -> None:
    """Draw the page."""
    page_title("Block architecture")
    st.markdown(
        "**What is inside a block, and what changed?** A language model is one kind of block, "
        "repeated many times. Here is the block of the loaded model beside that of the first "
        "transformer, 2017."
    )
    _explore(run(), tokens_of_run())
    try_next(
        NEXT_PAGES,
        "Choose another layer: are all blocks built alike?",
        "Load another model in the sidebar, such as a twin, and watch the marks change.",
        "Under **LayerNorm, RMSNorm**, choose another token: is its mean always that small?",
    )


@fragment
def _explore(asked: Run, tokens: Sequence[str]) -> None:
    """Draw everything below the question; a click reruns nothing else."""
    by_layer, by_token, in_words = st.columns([4, 3, 5], vertical_alignment="center")
    with by_layer:
        layer = pick_layer(info())
    with by_token:
        pick_position(tokens)
    all_facts = _block_facts(asked.model_name)
    in_words.markdown(blocks.answer(all_facts[layer]))
    draw_each(lambda: blocks.draw(_scene(), _block_facts(run().model_name)))
    draw_between(lambda: between.draw(*of_both(_scene)))
    _deeper()


def _scene() -> Scene:
    """Return what is looked at, of the run that is looked at."""
    asked, tokens = run(), tokens_of_run()
    pos, facts = current_position(len(tokens)), _block_facts(asked.model_name)
    name = escape_markdown(visible(tokens[pos]))
    return Scene(asked, info(), facts[min(view().layer, len(facts) - 1)], pos, name)


def _deeper() -> None:
    labels = [one.label for one in DEEPER]
    names = [one.name for one in DEEPER]
    opened = tabs("block_architecture.tab", names, labels=labels)
    for one, tab in zip(DEEPER, opened, strict=True):
        if not tab.open:
            continue
        with tab:
            heading(one.title, help=one.help)
            if one.of_both:
                draw_each(partial(_draw_tab, one), wide=True)
            else:
                _draw_tab(one)


def _draw_tab(of: Deeper) -> None:
    try:
        of.draw(_scene())
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
