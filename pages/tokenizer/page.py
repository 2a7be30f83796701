"""Tokenizer: how does text become token IDs?"""

import streamlit as st

from pages.ask.session import prompt_ids, text_so_far
from pages.state.visit import view
from pages.tokenizer import chips, compare, prompt, search, special
from pages.widgets.heading import page_title
from pages.widgets.next_pages import try_next

MAX_CHIPS = 1000
"""Tokens shown as chips; the CSV file has all."""
NEXT_PAGES = {
    "forward_pass": "**Forward pass**: what the model does with the token IDs",
    "attention": "**Attention**: which earlier tokens each head reads from",
}


def draw() -> None:
    """Draw the page."""
    page_title("Tokenizer")
    st.markdown(
        "**How does text become token IDs?** A language model works on numbers, so the tokenizer "
        "cuts the text into pieces of a fixed vocabulary, **tokens**, and replaces each by its "
        "number."
    )
    prompt_ids()  # ends the page where there is no text
    model_name, written = view().model, text_so_far()
    text = chips.read(model_name, written, MAX_CHIPS)
    st.markdown(prompt.answer(text))
    if view().interventions:
        st.caption(
            "What is switched off changes nothing here: the model comes after the tokenizer."
        )
    prompt.draw(model_name, text)
    prompt.draw_sizes(text)
    special.draw(model_name, written, text.facts)
    search.draw(model_name, text.facts.vocab_size)
    compare.draw(model_name, written)
    try_next(
        NEXT_PAGES,
        "Misspell a word, or write 東京 or 👩‍👩‍👧 in the prompt, and watch the number of tokens "
        "grow.",
    )
