"""Glossary: what does a word mean, where is it seen, and what does each colour stand for?"""

import pandas as pd
import streamlit as st

from pages.glossary.choices import Choices
from pages.state.visit import part
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import link_page, try_next
from pages.widgets.terms import Term, in_words, terms
from viz import role_colours
from viz.theme import ROLES

COLOURS_HELP = (
    "The same in every figure, formula and sentence. Nothing is told by colour alone: lines have "
    "dashes, bars have hatches and labels."
)


def draw() -> None:
    """Draw the page."""
    page_title("Glossary")
    st.markdown(
        "**What does this word mean?** Here is every technical word of Inlook, in one or two "
        "sentences, and the page on which it is best seen. **Words**, beside the title of each "
        "page, has those of that page."
    )
    _look_up()
    for topic in dict.fromkeys(of.topic for of in terms().values()):
        heading(topic)
        listed = [of for of in terms().values() if of.topic == topic]
        st.markdown("\n".join(f"- {in_words(of)}" for of in listed))
    heading("What the colours mean", help=COLOURS_HELP)
    _draw_colours()
    try_next(
        {
            "lessons": "**Lessons**: meet these words one after the other",
            "forward_pass": "**Forward pass**: see most of them in one picture",
        }
    )


def _look_up() -> None:
    """Let the reader pick a word, and say what it means."""
    bind(
        st.selectbox,
        "Look up a word",
        "glossary.word",
        options=[None, *sorted(terms(), key=str.lower)],
        format_func=lambda name: "Type or choose one" if name is None else name,
    )
    if (of := terms().get(part(Choices).word or "")) is not None:
        _draw_word(of)


def _draw_word(of: Term) -> None:
    with st.container(border=True, key="glossary.found"):
        st.markdown(in_words(of))
        link_page(of.pages[0], icon=":material/arrow_forward:")


def _draw_colours() -> None:
    chart(
        drawing(role_colours),
        key="glossary_colours",
        alt="The colours and what they stand for",
        has_table=True,
    )
    rows = [(role.name, role.says) for role in ROLES]
    st.dataframe(pd.DataFrame(rows, columns=["colour of", "what it stands for"]), hide_index=True)
