"""Which pages there are, at which addresses, and how one gets from one to another.

A page is a folder of `pages/` whose `page.py` has a function `draw`. Its address differs from the
folder's name, and natural spellings of both lead to it.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.navigation.page import StreamlitPage

from pages.shell.parts import page_part
from pages.state.visit import link
from pages.teach.moves import GO_TO
from pages.widgets.heading import page_title
from pages.widgets.next_pages import declare_pages, link_pages

_EMBED = re.compile(r"(^|&)embed=(?:1|yes|on)(?=&|$)", re.IGNORECASE)
"""How an address asks for a page without a sidebar; Streamlit knows one spelling of it."""
UNKNOWN = "no-such-page"
SERVED = ("static", "media", "component", "vendor", "healthz", "metrics")
"""What is at the beginning of addresses that are no pages."""


class Place(NamedTuple):
    """One page of the app."""

    folder: str
    title: str
    address: str
    shows_options: bool = False
    """Whether the page itself shows how a token is picked: then the text bar does not."""
    looks_ahead: bool = False
    """Whether a token is looked at as it is picked: then the one to come can be chosen, too."""
    has_text: bool = True
    """Whether the page is about the text: then the text bar stands over it."""
    has_long_runs: bool = False
    """Whether something on the page runs for long, and a click there ends it."""


def import_pages(sections: Mapping[str, Iterable[Place]]) -> None:
    """Import every page, which makes its part of the view known."""
    for places in sections.values():
        for place in places:
            draw_of(place)


def draw_of(place: Place) -> Callable[[], None]:
    """Return what draws a page."""
    return importlib.import_module(f"pages.{place.folder}.page").draw


def opened(sections: Mapping[str, Iterable[Place]]) -> tuple[Place, StreamlitPage]:
    """Declare all pages; return the one that was asked for. The first one is the front page."""
    places = [place for group in sections.values() for place in group]
    pages: dict[str, StreamlitPage] = {}
    for place in places:
        draw = page_part(draw_of(place), place.title, has_long_runs=place.has_long_runs)
        pages[place.folder] = st.Page(
            draw, title=place.title, url_path=place.address, default=place is places[0]
        )
    unknown = st.Page(_draw_unknown, title="No such page", url_path=UNKNOWN, visibility="hidden")
    declare_pages(pages)
    asked_for = st.navigation([*pages.values(), unknown], position="hidden")
    if (to := pages.get(GO_TO.take() or "")) and to != asked_for:
        st.switch_page(to, query_params=link())
    for place in places:
        if pages[place.folder] == asked_for:
            return place, asked_for
    return Place("", "No such page", UNKNOWN), asked_for


def _draw_unknown() -> None:
    page_title("No such page")
    st.markdown("There is nothing at this address. These are the pages of Inlook:")
    link_pages()


class NaturalAddresses:
    """Leads from other spellings of a page's name to its address, and from nowhere to a list."""

    def __init__(self, app: ASGIApp, places: Iterable[Place]) -> None:
        places = list(places)
        self._app = app
        self._known = {f"/{place.address}" for place in places[1:]} | {"/", f"/{UNKNOWN}"}
        self._to = {plain(place.folder): f"/{place.address}" for place in places}
        self._to |= {plain(place.address): f"/{place.address}" for place in places}
        self._to |= {plain(places[0].folder): "/", plain(places[0].address): "/"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with another address, or hand the request on."""
        if scope["type"] == "http" and self._is_for_a_reader(scope):
            path, asked = scope["path"], scope["query_string"].decode("latin-1")
            to = self._to.get(plain(unquote(path)), f"/{UNKNOWN}")
            query = _EMBED.sub(r"\1embed=true", asked)
            to = path if path in self._known else to
            if path != to or query != asked:
                answer = RedirectResponse(to + (f"?{query}" if query else ""), status_code=307)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    @staticmethod
    def _is_for_a_reader(scope: Scope) -> bool:
        first = scope["path"].strip("/").partition("/")[0]
        if scope["method"] != "GET" or "." in scope["path"].rpartition("/")[2]:
            return False
        wants = Headers(scope=scope).get("accept", "")
        own = first.startswith("_") or first in SERVED
        return "text/html" in wants and not own


def plain(spelling: str) -> str:
    """Return what all spellings of an address have in common."""
    return "".join(character for character in spelling.lower() if character.isalnum())
