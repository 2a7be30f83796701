"""The sidebar every page shares: pages, model, what is switched off, and the keys."""

from collections.abc import Iterable, Mapping

import streamlit as st

from model_hooks.bundled import bundled_sizes
from pages.ask.session import open_model
from pages.shell.keys import draw_keys
from pages.shell.navigation import Place
from pages.shell.switched_off import draw_switched_off
from pages.state.visit import put, view
from pages.widgets.bind import bind
from pages.widgets.components import component
from pages.widgets.next_pages import link_page

_follow = component("page_links")


def draw(sections: Mapping[str, Iterable[Place]]) -> None:
    """Draw the sidebar, and load the model that it names."""
    with st.sidebar:
        _page_links(sections)
        _model_picker()
        switched_off, keys = st.container(), st.container()
    if open_model() is None:
        with switched_off:
            draw_switched_off()
        with keys:
            draw_keys()


def _page_links(sections: Mapping[str, Iterable[Place]]) -> None:
    with st.container(key="page_links", gap=None):
        for section, places in sections.items():
            st.caption(section)
            for place in places:
                link_page(place.folder)
        _follow(key="page_links_follow", data={})


def _model_picker() -> None:
    sizes = {model.name: model for model in bundled_sizes()}
    own = [] if view().model in sizes else [view().model]

    def describe(name: str) -> str:
        if name not in sizes:
            return name
        model = sizes[name]
        return f"{name} ({model.n_parameters / 1e6:.1f}M, {model.n_bytes / 1e6:.0f} MB)"

    bind(
        st.selectbox,
        "Model",
        "model",
        options=[*sizes, *own],
        format_func=describe,
        everywhere=True,
        help="Parameters (in millions) and size on disk.",
    )
    with st.expander("Your own model"):
        st.text_input(
            "Folder or Hub id",
            key="own_model",
            placeholder="openai-community/gpt2",
            help="A folder with a causal language model in Hugging Face format, or the name of "
            "one on the Hugging Face Hub (downloaded once). Safetensors only.",
            on_change=_open_own_model,
        )


def _open_own_model() -> None:
    if name := st.session_state["own_model"].strip():
        put(model=name)
