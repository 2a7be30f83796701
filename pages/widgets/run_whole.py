"""Does what is switched off hold for the models that the selected one is compared with?"""

import streamlit as st

from pages.state.visit import view

TWINS_RUN_WHOLE = "The twins run whole: what you switched off is off in the selected model only."


def say_twins_run_whole() -> None:
    """Say that it does not, where something is switched off."""
    if view().interventions:
        st.caption(TWINS_RUN_WHOLE)
