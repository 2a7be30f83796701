"""How does a picture that needs room fit a narrow screen? It scrolls sideways, and nothing else."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.state.visit import keyed


def wide_figure(name: str, min_width: int = 720) -> DeltaGenerator:
    """Return a container that scrolls sideways on a screen too narrow for its figure.

    Args:
        name: The figure's key.
        min_width: Pixels that the figure needs.
    """
    key = keyed(f"{name}_scroll").replace(".", "-")
    st.html(
        f"<style>.st-key-{key} {{ overflow-x: auto; }} "
        f".st-key-{key} > * {{ min-width: {min_width}px; }}</style>"
    )
    return st.container(key=key)
