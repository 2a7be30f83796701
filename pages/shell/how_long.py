"""How far does a run write? So many tokens, or up to where it is to stop."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.server.settings import settings as allowed
from pages.widgets.bind import bind

MOST_PER_RUN = 500
MOST_BITS = 30.0
MOST_RANK = 1_000_000
OFF = "0 for never."


def draw() -> None:
    """Draw the controls."""
    bind(
        st.number_input,
        "Tokens per run",
        "n_per_run",
        min_value=1,
        max_value=allowed().at_most("new_tokens", MOST_PER_RUN),
        everywhere=True,
    )
    st.markdown("**Stop a run when …**")
    bind(
        st.text_input,
        "… this text is written",
        "stops.stop_text",
        max_chars=100,
        everywhere=True,
        help="Letter by letter, with its spaces; it may lie across several tokens.",
    )
    open_by, surprise = st.columns(2)
    _bits(open_by, "… a choice is open by more bits than", "stops.stop_entropy")
    _bits(surprise, "… a token surprises by more bits than", "stops.stop_surprise")
    bind(
        st.toggle,
        "… another token is taken than the most probable one",
        "stops.stop_off_top",
        everywhere=True,
    )
    word, rank = st.columns(2)
    bind(
        word.text_input,
        "… this word",
        "stops.stop_word",
        max_chars=60,
        everywhere=True,
        help="A word that could come next; of one that is several tokens, its first.",
    )
    bind(
        rank.number_input,
        "… falls below rank",
        "stops.stop_rank",
        min_value=0,
        max_value=MOST_RANK,
        none_is=0,
        everywhere=True,
        help=OFF,
    )


def _bits(place: DeltaGenerator, label: str, field: str) -> None:
    bind(
        place.number_input,
        label,
        field,
        min_value=0.0,
        max_value=MOST_BITS,
        step=0.5,
        none_is=0.0,
        everywhere=True,
        help=OFF,
    )
