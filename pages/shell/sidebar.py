"""The sidebar every page shares: pages, model, what is switched off, and the keys."""

from collections.abc import Iterable, Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks.bundled import models_at_hand
from model_hooks.opening.names import short_name
from pages.ask.session import info, open_model
from pages.shell import take_away
from pages.shell.keys import draw_keys, hear_keys
from pages.shell.navigation import Place
from pages.shell.pinning import draw_pinning
from pages.shell.switched_off import draw_switched_off
from pages.state.visit import uses, view
from pages.text import visible
from pages.widgets.bind import bind
from pages.widgets.components import component
from pages.widgets.models import (
    adapter_switch,
    offered_models,
    own_model_box,
    own_models,
    remember_own,
    size_of,
    takes_any_model,
    told_apart,
    where_from,
)
from pages.widgets.next_pages import link_page

PROMPT_LETTERS = 200
"""Of the prompt, as it stands below a saved picture."""

_follow = component("page_links", is_figure=False)


def draw(sections: Mapping[str, Iterable[Place]]) -> None:
    """Draw the sidebar, and load the model that it names."""
    with st.sidebar:
        _page_links(sections)
        place = _model_picker()
        switched_off = st.container()
        draw_pinning()
        keys = st.container()
    if open_model() is None:
        remember_own(view().model)
        with place.container():
            if said := where_from(info()):
                st.caption(said)
            adapter_switch(info())
        with switched_off:
            draw_switched_off()
        with keys:
            draw_keys()
            take_away.offer()


def _page_links(sections: Mapping[str, Iterable[Place]]) -> None:
    with st.container(key="page_links", gap=None):
        for section, places in sections.items():
            st.caption(section)
            for place in places:
                link_page(place.folder)
        _follow(key="page_links_follow", data={"about": about()})
        hear_keys()


def about() -> str:
    """Say what a saved picture is of: the model and the beginning of the prompt."""
    uses("model", "prompt")
    prompt = visible(view().prompt).replace("·", " ")
    more = "…" if len(prompt) > PROMPT_LETTERS else ""
    return f"Inlook, {short_name(view().model)}: {prompt[:PROMPT_LETTERS]}{more}"


def _model_picker() -> DeltaGenerator:
    """Draw what chooses a model; return where there is place for a line about it."""
    sizes = {model.name: model for model in models_at_hand()}
    offered = offered_models()
    own = own_models(view().model)
    labels = told_apart([*offered, *own])

    def describe(name: str) -> str:
        return f"{name} ({size_of(sizes[name])})" if name in sizes else labels.get(name, name)

    bind(
        st.selectbox,
        "Model",
        "model",
        options=[*offered, *own],
        format_func=describe,
        everywhere=True,
        help="Parameters (in millions) and size on disk.",
    )
    place = st.empty()
    if takes_any_model():
        with st.expander("Your own model"):
            own_model_box("own_model")
    return place
