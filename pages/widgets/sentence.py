"""How does an error that is meant for people become a sentence on the page?"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from model_hooks import InlookError
from pages.ask.away import go_on_when_back
from pages.text import escape_markdown


@contextmanager
def errors_are_sentences() -> Iterator[None]:
    """Show an error whose text is for people; what was drawn before it stays."""
    try:
        yield
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        go_on_when_back(error)
