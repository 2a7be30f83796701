"""Which of all heads looks back most sharply from the chosen token?"""

from collections.abc import Sequence

import streamlit as st

from model_hooks.host import Run
from model_hooks.read.heads import Look, sharpest_look
from pages.ask.computed import computed
from pages.state.visit import put
from pages.text import escape_markdown
from pages.widgets.quantity import ATTENTION, shown

_sharpest_look = computed(sharpest_look)


def draw(asked: Run, labels: Sequence[str], layer: int, head: int | None, query: int) -> None:
    """Say which head it is, and offer to open it."""
    look: Look | None = _sharpest_look(*asked, query)
    if look is None:
        st.markdown(f"{_name(labels, query)} has nothing to read but itself and the first token.")
        return
    words, way = st.columns([5, 1], vertical_alignment="center")
    words.markdown(sentence(look, labels, query))
    way.button(
        "Open that head",
        key="attention.open_sharpest",
        width="stretch",
        disabled=(layer, head) == (look.layer, look.head),
        on_click=put,
        kwargs={"layer": look.layer, "head": look.head},
    )


def sentence(look: Look, labels: Sequence[str], query: int) -> str:
    """Say what the sharpest head reads."""
    weight = shown(ATTENTION, look.weight, look.layer, look.head, query, look.key)
    return (
        f"The sharpest look back from {_name(labels, query)}, the first token apart: "
        f"**layer {look.layer}, head {look.head}** gives {weight} of its attention "
        f"to {_name(labels, look.key)}."
    )


def _name(labels: Sequence[str], pos: int) -> str:
    return f"**{escape_markdown(labels[pos])}** (token {pos})"
