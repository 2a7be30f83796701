"""Which run is pinned, so that another one can be put beside it? Pin, swap, unpin."""

from dataclasses import fields

import streamlit as st

from model_hooks.opening.names import short_name
from pages.state.view import Selection, selection_of
from pages.state.visit import put, uses, view
from pages.text import escape_markdown, visible
from pages.widgets.controls import settings_of
from viz.numbers import counted

HELP = (
    "Keeps what you look at now as **run A**: model, text, how tokens are picked and what is "
    "switched off. Whatever you change afterwards is **run B**, and the pages show both, side by "
    "side. The link of this page holds both."
)
LETTERS = 60
"""Of A's prompt, in the sidebar."""


def draw_pinning() -> None:
    """Offer to pin what is looked at; once it is, say what it is, and offer to swap and unpin."""
    uses("pinned")  # and nothing of B: a step draws no sidebar
    pinned = view().pinned
    if pinned is None:
        st.button(
            "Pin this run to compare",
            key="pinning.pin",
            icon=":material/keep:",
            help=HELP,
            on_click=pin,
            width="stretch",
        )
        return
    with st.container(key="pinning", border=True, gap="xsmall"):
        st.markdown(f":violet-badge[A, pinned] {described(pinned)}")
        with st.container(horizontal=True):
            st.button(
                "Swap",
                key="pinning.swap",
                icon=":material/swap_horiz:",
                help="B becomes A, and A becomes what you change: B.",
                on_click=swap,
            )
            st.button(
                "Unpin",
                key="pinning.unpin",
                icon=":material/keep_off:",
                help="Forget A and go on with B alone.",
                on_click=put,
                kwargs={"pinned": None},
            )


def pin() -> None:
    """Pin what is looked at; a callback."""
    put(pinned=selection_of(view()))


def swap() -> None:
    """Look at what is pinned, and pin what was looked at; a callback."""
    own, pinned = selection_of(view()), view().pinned
    if pinned is not None:
        there = {one.name: getattr(pinned, one.name) for one in fields(Selection)}
        put({**there, "pinned": own})


def described(of: Selection) -> str:
    """Say what a run is in one line of Markdown."""
    words = " ".join(visible(of.prompt).replace("·", " ").split())
    prompt = words if len(words) <= LETTERS else f"{words[:LETTERS]}…"
    said = [f"**{escape_markdown(short_name(of.model))}**", f"“{escape_markdown(prompt)}”"]
    if of.written:
        said.append(f"with {counted(len(of.written), 'written token')}")
    said.append(settings_of(of.decoding))
    said += [escape_markdown(one.describe()) for one in of.interventions]
    return ", ".join(said)
