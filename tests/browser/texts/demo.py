"""Shows every hostile text in the ways in which pages show texts."""

import streamlit as st

from pages.text import code_span, escape_markdown
from tests.hostile_texts import AFTER_MARKDOWN, MARKDOWN

ALL = (*MARKDOWN, *AFTER_MARKDOWN)

for i, text in enumerate(ALL):
    safe = escape_markdown(text)
    with st.container(key=f"text{i}"):
        st.markdown(f"a {safe} b")
        st.markdown(f"**{safe}**:{safe}")
        st.caption(f":blue[{safe}] “{safe}”")
        st.subheader(safe)
        st.button(safe, key=f"button{i}")
        st.error(safe)
        st.expander(safe)
        st.metric(safe, 1)
        st.markdown(code_span(text))
        if text.strip("`"):
            st.markdown(f"a {code_span(text)} b")
st.radio("Radio", [escape_markdown(text) for text in ALL])
st.segmented_control("Segments", [escape_markdown(text) for text in ALL])
st.multiselect("Many", ALL, default=ALL)
