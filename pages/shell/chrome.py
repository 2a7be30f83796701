"""What stands around the page? Everything, or less: in a lesson, a frame, or at the projector.

A visitor says so by the address: `?lesson=` and a class fold away what would distract, `?present=1`
is the view for a projector, and `?embed=1` is a page without a sidebar for a frame elsewhere.
"""

import streamlit as st

from pages.shell.navigation import Place
from pages.state.visit import uses, view

FOLDED = """<style>
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"] {
  display: none !important; }
.stMainBlockContainer { padding-top: 0.8rem !important; }
.stMainBlockContainer > .stVerticalBlock > [data-testid="stLayoutWrapper"]:first-child {
  top: 0 !important; }
.st-key-text_bar > :first-child { width: 100% !important; }
@media (min-width: 1100px) {
  .st-key-lesson_panel { top: 0.8rem; max-height: calc(100vh - 1.6rem); } }
</style>"""
FEWER = "<style>.st-key-text_bar-examples, .st-key-text_bar-how { display: none; }</style>"
LARGE = "<style>html { font-size: 24.5px !important; }</style>"
"""Of the smallest print, 0.66 rem, that makes 16 pixels."""
LOWER = """<style>
[data-testid="stSidebar"][data-collapsed="false"] + div .stMainBlockContainer {
  padding-top: 1.4rem; }
</style>"""
"""Beside an open sidebar, the text bar begins at the upper edge; a title does not."""


def draw(place: Place) -> None:
    """Fold away what is not to be seen."""
    uses("present", "course.focus")
    large, focus = view().present, view().course.focus
    folded = large or focus or bool(st.context.is_embedded)
    parts = ((FOLDED, folded), (FEWER, focus), (LARGE, large), (LOWER, not place.has_text))
    st.html("".join(style for style, is_on in parts if is_on) or "<style></style>")
