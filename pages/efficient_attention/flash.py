"""How does FlashAttention move less memory? Its walk, its traffic, its time."""

import streamlit as st

from pages.efficient_attention import backends, traffic, walk
from pages.efficient_attention.choices import Choices, Look
from pages.efficient_attention.subject import Subject
from pages.state.visit import part
from pages.widgets.bind import bind

FLASH_HELP = (
    "**FlashAttention** (Dao et al. 2022) computes ordinary attention, not an approximation. A "
    "processor has a little fast memory (SRAM) and a lot of slow memory (HBM, the GPU's main one). "
    "Standard attention writes the whole matrix of scores to slow memory and reads it back. "
    "FlashAttention cuts the matrix into tiles that fit into fast memory and never stores it."
)
LOOKS: dict[Look, str] = {
    "walk": "Walk through the tiles",
    "traffic": "Count trips to memory",
    "times": "Measure this machine",
}
DRAW = {"walk": walk.draw, "traffic": traffic.draw, "times": backends.draw}


def draw(subject: Subject) -> None:
    """Draw the tab."""
    bind(
        st.segmented_control,
        "What to look at",
        "efficient_attention.look",
        options=[*LOOKS],
        format_func=LOOKS.__getitem__,
        required=True,
        help=FLASH_HELP,
    )
    DRAW[part(Choices).look](subject)
