"""How a page and its parts are named: Streamlit's headings, without an anchor.

No address of Inlook leads to a heading, and to draw the anchor's icon Streamlit asks the browser
for the computed style of the whole page, at every heading and each time it is drawn.
"""

import streamlit as st

from pages.state.visit import page_name
from pages.widgets.terms import words_of_page


def page_title(text: str) -> None:
    """Name the page, and offer the meaning of its words."""
    with st.container(horizontal=True, vertical_alignment="center", key="page_title"):
        st.title(text, anchor=False, width="content")
        words_of_page(page_name())


def heading(text: str, help: str | None = None) -> None:
    """Name a part of the page."""
    st.header(text, anchor=False, help=help)
