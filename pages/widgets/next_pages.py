"""Links to other pages: each carries what is looked at, into a new tab too."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.state.visit import link
from pages.widgets.heading import heading

_PAGES = "next_pages.pages"


def declare_pages(pages: Mapping[str, StreamlitPage]) -> None:
    """Note this run's pages by their folders, in order."""
    st.session_state[_PAGES] = dict(pages)


def link_page(
    folder: str, label: str | None = None, icon: str | None = None, **changes: Any
) -> None:
    """Link to a page by the name of its folder.

    Args:
        folder: The page's.
        label: What the link says; the page's title by default.
        icon: What stands before it.
        **changes: Fields of the view that the link changes, such as `layer=4`.
    """
    page = st.session_state[_PAGES][folder]
    st.page_link(page, label=label, icon=icon, query_params=link(**changes))


def link_pages(labels: Mapping[str, str] | None = None, icon: str | None = None) -> None:
    """Link to pages by the names of their folders, in this order; to all of them by default.

    Args:
        labels: What each link says, by page.
        icon: What stands before each.
    """
    for folder, label in (labels or dict.fromkeys(st.session_state[_PAGES])).items():
        link_page(folder, label, icon)


def try_next(labels: Mapping[str, str], *ideas: str) -> None:
    """End a page.

    Args:
        labels: Where to go after it, by page.
        *ideas: What to try on the page itself, one sentence each.
    """
    heading("Try next")
    if ideas:
        st.markdown("\n".join(f"- {idea}" for idea in ideas))
    link_pages(labels, icon=":material/arrow_forward:")
