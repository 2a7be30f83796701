"""Which models can be looked into? Those that came along, by size, and one's own by its name."""

import streamlit as st

from model_hooks.bundled import BundledModel, bundled_sizes
from pages.state.mailbox import reported
from pages.state.visit import put


def size_of(model: BundledModel) -> str:
    """Write a model's size: parameters in millions, and bytes on disk."""
    return f"{model.n_parameters / 1e6:.1f}M, {model.n_bytes / 1e6:.0f} MB"


def own_model_box(key: str) -> None:
    """Draw a box that takes a model's folder or name and opens it."""

    def open_it() -> None:
        if name := (reported(key) or "").strip():
            put(model=name)

    st.text_input(
        "Folder or Hub id",
        key=key,
        placeholder="openai-community/gpt2",
        help="A folder with a causal language model in Hugging Face format, or the name of "
        "one on the Hugging Face Hub (downloaded once). Safetensors only.",
        on_change=open_it,
    )


def bundled_model_menu(key: str) -> None:
    """Draw a menu that opens one of the models that came along."""

    def open_it() -> None:
        if name := reported(key):
            put(model=name)

    names = [model.name for model in bundled_sizes()]
    st.menu_button("One that came along", names, key=key, on_click=open_it)
