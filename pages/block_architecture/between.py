"""In which choices do the blocks of two runs differ? Each that does, in words."""

import html

import streamlit as st

from model_hooks.parts.differences import differences
from model_hooks.parts.facts import BlockFacts
from pages.block_architecture.explanations import WRITTEN
from pages.block_architecture.scene import Scene
from pages.widgets.heading import heading
from viz.numbers import counted, signed

AS_IN_2017 = "as in 2017"


def draw(a: Scene, b: Scene) -> None:
    """Draw what differs between the blocks of A and of B."""
    heading("A and B, choice by choice")
    found = apart(a.facts, b.facts)
    n_more = b.facts.n_parameters - a.facts.n_parameters
    size = f"B - A: {signed(n_more)} parameters in this block."
    if not found:
        st.markdown(f"Both blocks make the same choices. {size}")
        return
    st.markdown(f"The blocks differ in **{counted(len(found), 'choice')}**. {size}")
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Choice", "A", "B"))
    rows = "".join(
        f"<tr><th scope='row'>{name}</th>"
        f"<td>{html.escape(of_a)}</td><td>{html.escape(of_b)}</td></tr>"
        for name, (of_a, of_b) in found.items()
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    st.html(f"<div class='facts'>{table}</div>")


def apart(a: BlockFacts, b: BlockFacts) -> dict[str, tuple[str, str]]:
    """Return the choices that two blocks make differently, all in words."""
    of_a, of_b = ({one.topic: one.now for one in differences(facts)} for facts in (a, b))
    said = {
        name: (of_a.get(topic, AS_IN_2017), of_b.get(topic, AS_IN_2017))
        for topic, name in WRITTEN.items()
    }
    return {name: pair for name, pair in said.items() if pair[0] != pair[1]}
