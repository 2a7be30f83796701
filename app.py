"""Entry point: page config, navigation, and the sidebar every page shares."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.ask import session
from pages.shell import sidebar
from pages.state import selection
from pages.widgets.chart import PLOTLY_ROUTE

# One line per page: file, title, address. Each address differs from its file's name: Streamlit
# first looks for a legacy `pages/` app, and on a match it would run the page without this file.
PAGES = {
    "Overview": [
        ("forward_pass", "Forward pass", "from-prompt-to-next-token"),
        ("generation", "Generation", "why-this-token"),
    ],
    "Inside the model": [
        ("tokenizer", "Tokenizer", "text-to-tokens"),
        ("attention", "Attention", "what-each-head-reads"),
        ("feedforward", "Feedforward", "what-neurons-do"),
        ("layers", "Layers", "layer-by-layer"),
        ("lm_head", "LM head", "vector-to-probabilities"),
    ],
    "Faster generation": [
        ("kv_cache", "KV cache", "keys-and-values-kept"),
        ("efficient_attention", "Efficient attention", "cheaper-attention"),
    ],
    "Newer designs": [
        ("block_architecture", "Block architecture", "block-then-and-now"),
        ("positions", "Positions", "where-is-each-token"),
    ],
}
HERE = Path(__file__).parent


def draw() -> None:
    """Draw one visitor's view: sidebar and page."""
    st.set_page_config(page_title="Inlook", page_icon="🔎", layout="wide")
    st.html(HERE / "pages/widgets/browser/page.css")
    st.logo(HERE / "pages/widgets/browser/logo.svg", size="large")
    page = navigation()
    selection.follow_link()
    sidebar.draw()
    session.open_model()
    sidebar.draw_token_count()
    page.run()
    sidebar.remember_drawn()


def navigation() -> st.Page:
    """Declare the pages and return the one that was asked for."""
    return st.navigation(
        {
            section: [
                st.Page(HERE / "pages" / file / "page.py", title=title, url_path=address)
                for file, title, address in pages
            ]
            for section, pages in PAGES.items()
        }
    )


if __name__ == "__main__":
    draw()
else:
    # `streamlit run` finds this name and imports the file once, before the first visitor comes.
    # It is the moment to say that `pages/` is no legacy app of Streamlit's own: if Streamlit took
    # it for one, the first visitor with a deep link would be told "Page not found".
    PagesManager.uses_pages_directory = False
    app = st.App(__file__, routes=[PLOTLY_ROUTE])
