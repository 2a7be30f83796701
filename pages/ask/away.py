"""How does a page go on by itself when the machine that has the models is back?"""

import streamlit as st

from model_hooks import InlookError
from model_hooks.errors import AwayError
from model_hooks.read.recorded import info_of
from pages.ask.computed import computed
from pages.state.visit import view

LOOK_S = 4.0
"""How often it is asked whether it is back."""
_info_of = computed(info_of, keep=False)


def go_on_when_back(error: InlookError) -> None:
    """Draw the page anew as soon as the models answer again, where that is what is wrong."""
    if isinstance(error, AwayError):
        _look([True])


@st.fragment(run_every=LOOK_S)
def _look(just_drawn: list[bool]) -> None:
    if just_drawn:
        just_drawn.clear()
        return  # it has just been found out that nobody answers
    try:
        _info_of(view().model)
    except AwayError:
        return
    except InlookError:
        pass
    st.rerun()
