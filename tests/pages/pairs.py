"""Open a page with a pinned run, and read what is drawn of A, of B and between them."""

from collections.abc import Mapping
from typing import Any

from streamlit.testing.v1 import AppTest

from pages.state.link import encode
from pages.state.view import Selection, changed_copy, whole_view
from tests.pages.charts import Drawn, drawn
from tests.pages.conftest import PROMPT, opened


def opened_with(page: str, pinned: Selection, **link: object) -> AppTest:
    """Open a page by its folder, with a pinned run; B is what the link says."""
    told = encode(changed_copy(whole_view()(), {"pinned": pinned}))
    return opened(page, pinned=told["pinned"], **link)


def charts_of(app: AppTest) -> Mapping[str, Drawn]:
    """Return the drawn charts by their keys."""
    return {one.key: one for one in drawn(app)}


def said(app: AppTest) -> str:
    """Return all that is written on a page."""
    kinds: list[Any] = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return " ".join(element.value for element in kinds)


A = Selection(prompt=PROMPT)
