"""Links to the pages that go on from here."""

from collections.abc import Mapping

import streamlit as st


def link_pages(labels: Mapping[str, str], icon: str | None = None) -> None:
    """Link to pages by the names of their files, in this order.

    Args:
        labels: What each link says, by page.
        icon: What stands before each.
    """
    for page, label in labels.items():
        st.page_link(f"pages/{page}/page.py", label=label, icon=icon)
