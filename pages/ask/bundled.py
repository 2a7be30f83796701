"""The small models that come with Inlook, to compare the selected one with."""

import gc

import streamlit as st

from model_hooks import HookedModel, load_model
from pages.ask.session import hooked_model
from pages.state.selection import selection


@st.cache_resource(max_entries=12, show_spinner="Loading a small model…")
def bundled_model(name: str) -> HookedModel:
    """Load a bundled model, apart from those that visitors choose: of those, only two stay."""
    model = load_model(name)
    gc.collect()
    gc.freeze()
    return model


def model_of(name: str) -> HookedModel:
    """Return the selected model or a bundled one; the selected one is not loaded twice."""
    return hooked_model(name) if name == selection().model else bundled_model(name)
