"""Entry point: the list of pages, and the shell around each."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from pages.ask.garbage import collect_now_and_then
from pages.server.health import HEALTH_ROUTES
from pages.server.quiet import keep_words_out, say_sorry
from pages.server.settings import settings
from pages.server.silent import end_silent_connections
from pages.shell import chrome, class_bar, guess_panel, lesson_panel, sidebar, take_away, text_bar
from pages.shell.guard import Guard
from pages.shell.keys import leave_projector
from pages.shell.navigation import NaturalAddresses, Place, import_pages, opened
from pages.state.view import whole_view
from pages.state.visit import begin, end
from pages.teach import attending
from pages.teach.moves import asks_for_guesses
from pages.teach.moves import enter as enter_lesson
from pages.widgets.chart import PLOTLY_ROUTE
from pages.widgets.sentence import errors_are_sentences

# One line per page: folder, title, address. Each address differs from its folder's name: Streamlit
# first looks for a legacy `pages/` app, and on a match it would run the page without this file.
PAGES = {
    "Overview": [
        Place("forward_pass", "Forward pass", "from-prompt-to-next-token"),
        Place("generation", "Generation", "why-this-token", looks_ahead=True),
        Place("lessons", "Lessons", "guess-before-you-see", has_text=False),
        Place("glossary", "Glossary", "words-and-colours", has_text=False),
    ],
    "Inside the model": [
        Place("tokenizer", "Tokenizer", "text-to-tokens"),
        Place("attention", "Attention", "what-each-head-reads"),
        Place("feedforward", "Feedforward", "what-neurons-do"),
        Place("layers", "Layers", "layer-by-layer"),
        Place(
            "lm_head", "LM head", "vector-to-probabilities", shows_options=True, has_long_runs=True
        ),
    ],
    "Faster generation": [
        Place("kv_cache", "KV cache", "keys-and-values-kept", has_long_runs=True),
        Place("efficient_attention", "Efficient attention", "cheaper-attention"),
    ],
    "Newer designs": [
        Place("block_architecture", "Block architecture", "block-then-and-now"),
        Place("positions", "Positions", "where-is-each-token"),
    ],
}
FRONT = "forward_pass"
LOOK = Path(__file__).parent / "pages/widgets/browser"
import_pages(PAGES)


def draw() -> None:
    """Draw one visitor's view: sidebar, text and page."""
    place, page = opened(PAGES)
    st.set_page_config(
        page_title=f"{place.title} · Inlook",
        page_icon="🔎",
        layout="wide",
        initial_sidebar_state="collapsed" if asks_for_guesses() else "auto",
    )
    st.html(LOOK / "page.css")
    st.logo(LOOK / "logo.svg", size="large")
    begin(whole_view(), place.folder)
    attending.enter()
    enter_lesson(place.folder, FRONT)
    chrome.draw(place)
    with errors_are_sentences():
        sidebar.draw(PAGES)
        write_on = text_bar.draw(place)
        class_bar.draw()
        lesson_panel.draw()
        guess_panel.draw()
        leave_projector()
        offered = take_away.draw_page(page.run)
        write_on()
        offered(place)
        end()


if __name__ == "__main__":
    draw()
else:
    # `streamlit run` finds this name and imports the file once, before the first visitor comes.
    # It is the moment to say that `pages/` is no legacy app of Streamlit's own: if Streamlit took
    # it for one, the first visitor with a deep link would be told "Page not found".
    PagesManager.uses_pages_directory = False
    collect_now_and_then()
    end_silent_connections()
    places = [place for group in PAGES.values() for place in group]
    if settings().public:
        keep_words_out()
    app = st.App(
        __file__,
        routes=[PLOTLY_ROUTE, *HEALTH_ROUTES],
        on_script_error=say_sorry if settings().public else None,
        middleware=[Middleware(Guard), Middleware(NaturalAddresses, places=places)],
    )
