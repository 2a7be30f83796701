"""What is Inlook, which model does it look into here, and where can one begin?"""

from urllib.parse import urlencode

import streamlit as st

from model_hooks import ModelInfo
from model_hooks.bundled import models_at_hand
from model_hooks.opening.installed import SMOLLM2
from model_hooks.opening.names import short_name
from pages.ask.session import info
from pages.state.visit import link_for_others, put
from pages.text import escape_markdown
from pages.widgets.guess_switch import guess_first_switch
from pages.widgets.models import bundled_model_menu, own_model_box, size_of
from pages.widgets.next_pages import link_page
from viz.numbers import counted

WHAT_IT_IS = (
    "**What happens between my prompt and the next token?** Inlook opens a language model and "
    "shows, live and in its own numbers, how it reads your text and picks each next token."
)
STORYTELLER = "it has read children's stories and nothing else."
NO_FACTS = "the storyteller with its facts taken out: pin it, open **storyteller**, and compare."
TWIN = "a small model that has read children's stories, trained alike to compare designs."
SMOLLM2_IS = "a small model that has read much of the web, and was taught to answer questions."


def about() -> str:
    """Say what Inlook is, and which model it looks into."""
    return f"{WHAT_IT_IS} {model_in_words(info())}"


def model_in_words(of: ModelInfo) -> str:
    """Say which model is open, how large it is, and what can be expected of it."""
    name = f"**{escape_markdown(short_name(of.name))}**"
    sizes = {model.name: model for model in models_at_hand()}
    if of.name not in sizes:
        layers = counted(of.n_layers, "layer")
        return f"Here it is {name}: {layers}, {of.n_parameters / 1e6:,.1f}M parameters."
    own = {"storyteller": STORYTELLER, "storyteller-no-facts": NO_FACTS, SMOLLM2.name: SMOLLM2_IS}
    what = own.get(of.name, TWIN)
    return f"Here it is {name} ({size_of(sizes[of.name])}): {what}"


def ways_in() -> None:
    """Offer three ways to begin, and the other models."""
    st.button(
        "Show me",
        key="forward.show_me",
        icon=":material/route:",
        help="A guided minute: five stops along the picture.",
        on_click=put,
        args=({"forward_pass.tour": True, "forward_pass.stage": "tokenizer"},),
    )
    for name, label, icon, draw in (
        ("teach", "I teach", "school", _for_teachers),
        ("own", "My own model", "folder_open", _own_model),
    ):
        icon = f":material/{icon}:"
        way = st.popover(label, icon=icon, key=f"forward.{name}", on_change="rerun")
        if way.open:
            with way:
                draw()


def _own_model() -> None:
    own_model_box("forward.own_model")
    bundled_model_menu("forward.other_models")


def _for_teachers() -> None:
    st.markdown("**A link for the class**: it opens what you see now, on every screen.")
    st.code(f"{st.context.url}?{urlencode(link_for_others())}", language=None, wrap_lines=True)
    st.markdown(
        "**Twelve lessons** that check themselves on the live model, with notes and a handout each:"
    )
    link_page("lessons", "To the lessons", ":material/school:")
    st.markdown(
        "**At the projector**: press `P` for large letters and nothing around the page, `F` for "
        "the full screen, and write with the keys: `N` one token, `B` back, `G` many. **Keys** in "
        "the sidebar lists all."
    )
    guess_first_switch()
