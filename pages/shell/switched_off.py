"""What is switched off in the model on every page: what it is, and how to change that."""

from typing import Any

import streamlit as st

from model_hooks import AblateAttention, AblateHead, AblateMLP, Intervention
from pages.ask.session import info
from pages.state.visit import put, uses, view
from pages.text import escape_markdown

HELP = (
    "Run the model with a part of it adding nothing, on every page: so you see what that part was "
    "for. Pages that measure time run the whole model."
)
HEAD, ATTENTION, MLP = "A head", "A layer's attention", "A layer's feedforward"


def draw_switched_off() -> None:
    """List what is switched off, each with a way to switch it on again, and offer to add to it."""
    uses("interventions")
    for intervention in view().interventions:
        st.button(
            escape_markdown(intervention.describe()),
            key=f"switched_off.{intervention!r}",
            icon=":material/close:",
            help="Switch it on again.",
            on_click=switch_on,
            args=(intervention,),
            width="stretch",
        )
    with st.popover("Switch a part off", icon=":material/power_settings_new:", width="stretch"):
        chosen = _pick()
        st.button("Switch off", key="switched_off.add", on_click=switch_off, args=(chosen,))


def switch_off(intervention: Intervention) -> None:
    """Switch a part off on every page; a callback."""
    put(interventions=tuple(dict.fromkeys([*view().interventions, intervention])))


def switch_on(intervention: Intervention) -> None:
    """Switch a part on again; a callback."""
    put(interventions=tuple(one for one in view().interventions if one != intervention))


def _pick() -> Intervention:
    sizes = info()
    part = st.segmented_control(
        "What",
        [HEAD, ATTENTION, MLP],
        default=HEAD,
        required=True,
        key="switched_off.what",
        help=HELP,
    )
    layer = st.number_input("Layer", 0, sizes.n_layers - 1, key="switched_off.layer")
    if part == ATTENTION:
        return AblateAttention(layer)
    if part == MLP:
        return AblateMLP(layer)
    most: Any = max(sizes.n_heads - 1, 0)
    return AblateHead(layer, st.number_input("Head", 0, most, key="switched_off.head"))
