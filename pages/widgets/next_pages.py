"""Links to other pages: each carries what is looked at, into a new tab too."""

from collections.abc import Mapping

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.state.visit import link

_PAGES = "next_pages.pages"


def declare_pages(pages: Mapping[str, StreamlitPage]) -> None:
    """Note this run's pages by their folders, in order."""
    st.session_state[_PAGES] = dict(pages)


def link_page(folder: str, label: str | None = None, icon: str | None = None) -> None:
    """Link to a page by the name of its folder; its title is the label unless another is given."""
    st.page_link(st.session_state[_PAGES][folder], label=label, icon=icon, query_params=link())


def link_pages(labels: Mapping[str, str] | None = None, icon: str | None = None) -> None:
    """Link to pages by the names of their folders, in this order; to all of them by default.

    Args:
        labels: What each link says, by page.
        icon: What stands before each.
    """
    for folder, label in (labels or dict.fromkeys(st.session_state[_PAGES])).items():
        link_page(folder, label, icon)
