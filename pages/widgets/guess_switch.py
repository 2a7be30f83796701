"""The switch that lets every page wait for a guess."""

import streamlit as st

from pages.widgets.bind import bind


def guess_first_switch() -> None:
    """Draw it."""
    bind(
        st.toggle,
        "Guess first",
        "first.guess_first",
        help="Every page hides what comes out until somebody has guessed it: the next token, the "
        "token that a head reads most, the layer that decides.",
    )
