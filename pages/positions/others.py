"""Which other models are compared with the selected one, by their positions alone?"""

import streamlit as st

from model_hooks import bundled_models
from pages.state.visit import view
from pages.widgets.run_whole import say_twins_run_whole

TWINS = {"twin-gelu": "learned absolute positions", "twin-rope": "rotary positions"}
"""Two bundled models that differ in their positions alone."""
NOT_BUNDLED = (
    "Two small models that differ in their positions alone are not in this copy's `models/`, so "
    "only the selected model is shown."
)


def twins() -> list[str]:
    """Return the twins that are bundled and not selected."""
    return [name for name in TWINS if name in bundled_models() and name != view().model]


def say_which() -> None:
    """Say which of these models are missing, and which ones run otherwise than the selected one."""
    if not all(name in bundled_models() for name in TWINS):
        st.caption(NOT_BUNDLED)
    if twins():
        say_twins_run_whole()


def name_of(name: str) -> str:
    """Name a model with its kind of positions."""
    return f"{name} ({TWINS[name]})" if name in TWINS else name
