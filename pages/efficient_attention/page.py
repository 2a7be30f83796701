"""Efficient attention: how can attention cost less?"""

import streamlit as st

from pages.ask.session import current_model, current_token_ids, current_trace
from pages.efficient_attention import flash, kv_heads, patterns, views

# What costs less in each, in words. One is drawn at a time.
TABS = {
    "Read fewer tokens": patterns,
    "Share keys and values": kv_heads,
    "Move less memory": flash,
}

st.title("Efficient attention")
st.markdown(
    "**How can attention cost less?** Every token reads all tokens before it: twice the text, four "
    "times the work. Three ways out: read fewer tokens, keep fewer keys and values, or compute "
    "the very same result with fewer trips to memory.",
    help=views.COST_HELP,
)

subject = views.Subject(current_model(), current_trace(), current_token_ids())


@st.fragment
def explore() -> None:
    """Draw the tab that is open; a click reruns nothing else."""
    tabs = st.tabs(list(TABS), key="efficient.tabs", on_change="rerun")
    for tab, view in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                view.draw(subject)


explore()
views.try_next()
