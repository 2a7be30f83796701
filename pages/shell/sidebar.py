"""The sidebar every page shares: pages, prompt, model, and what is switched off."""

from collections.abc import Iterable, Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks.bundled import bundled_sizes
from pages.ask.session import info, n_tokens_of_prompt, open_model
from pages.shell.navigation import Place
from pages.shell.presets import PRESETS
from pages.shell.switched_off import draw_switched_off
from pages.state.visit import put, view
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.components import component
from pages.widgets.next_pages import link_page
from viz.numbers import counted

_follow = component("page_links")


def draw(sections: Mapping[str, Iterable[Place]]) -> None:
    """Draw the sidebar, and load the model that it names."""
    with st.sidebar:
        _page_links(sections)
        bind(st.text_area, "Prompt", "prompt", height=100, everywhere=True)
        token_count = st.empty()
        _preset_picker()
        _model_picker()
        switched_off = st.container()
    if open_model() is None:
        _draw_token_count(token_count)
        with switched_off:
            draw_switched_off()


def _page_links(sections: Mapping[str, Iterable[Place]]) -> None:
    with st.container(key="page_links", gap=None):
        for section, places in sections.items():
            st.caption(section)
            for place in places:
                link_page(place.folder)
        _follow(key="page_links_follow", data={})


def _draw_token_count(place: DeltaGenerator) -> None:
    n_tokens, context_size = n_tokens_of_prompt(), info().context_size
    if n_tokens is None:
        return
    if context_size is None:
        place.caption(counted(n_tokens, "token"))
    elif n_tokens > context_size:
        place.caption(f":red[**{n_tokens:,} of {context_size:,} tokens: too long**]")
    else:
        place.caption(f"{n_tokens:,} of {context_size:,} tokens")


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


def _preset_picker() -> None:
    titles = {preset.prompt: preset.title for preset in PRESETS}
    bind(
        st.selectbox,
        "Prompts to try",
        "prompt",
        options=[preset.prompt for preset in PRESETS],
        format_func=titles.__getitem__,
        blank=True,
        placeholder="Choose one",
        slot="preset",
        everywhere=True,
    )
    chosen = next((preset for preset in PRESETS if preset.prompt == view().prompt), None)
    if chosen:
        st.caption(escape_markdown(chosen.look_for))
