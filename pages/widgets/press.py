"""A button of what is looked at: beside the pinned run there is none, for that stays as it is."""

from typing import Any

import streamlit as st

from pages.state.visit import is_of_other


def press(label: str, **arguments: Any) -> bool:
    """Draw a button; of the pinned run, nothing."""
    return not is_of_other() and st.button(label, **arguments)
