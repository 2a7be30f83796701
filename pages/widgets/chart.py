"""Plotly charts that are updated in place: quicker than Streamlit's own, and they keep their zoom.

Streamlit 1.67 tears a chart down and builds it anew, twice, whenever its figure changes, keeps
clicks on heatmaps to itself, and can save one format only. So every page draws with `chart`:

    chart(drawing(attention_heatmap, weights, tokens), key="attention_matrix",
          alt="Attention of layer 0, head 3", on_cell=lambda cell: select(pos=cell[0]))

Plotly's script is the one inside the plotly package; the app itself serves it (`PLOTLY_ROUTE`).
"""

import gzip
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pages.state.mailbox import reported
from pages.state.visit import is_of_other, keyed
from pages.widgets.components import component
from pages.widgets.drawing import AnyFigure, Drawing, drawing_of
from pages.widgets.one_scale import wait, waits

_ADDRESS = "vendor/plotly.min.js"
_chart = component("chart", isolate_styles=False)


class Point(NamedTuple):
    """A mark of a chart that was clicked."""

    x: Any
    y: Any
    customdata: Any
    """The mark's own `customdata`, the first number of it where it is a list; or None."""
    cell: tuple[int, int] | None
    """(row, column) in a heatmap, else None."""


def chart(
    figure: AnyFigure | Drawing,
    *,
    key: str,
    alt: str,
    on_click: Callable[[Point], None] | None = None,
    on_cell: Callable[[tuple[int, int]], None] | None = None,
    view: Hashable = None,
    has_table: bool = False,
) -> None:
    """Draw a figure; under it, folded, stand its numbers as a table.

    Args:
        figure: The figure, or what `drawing` made of it, which is cheaper; its colours are the
            placeholders of `viz.theme`.
        key: The chart's key; saved pictures are named after it.
        alt: What a screen reader says in its place.
        on_click: Called with the mark that was clicked, before the page reruns. Offer another way
            to choose the same, for the keyboard.
        on_cell: Called with the (row, column) of a heatmap's cell instead.
        view: What the axes show. While it stays the same, so does the reader's zoom, and the room
            beside the axes unless given labels need more; by default a new figure is shown whole.
        has_table: Whether the page shows the same numbers as a table beside it already.
    """
    drawn = figure if isinstance(figure, Drawing) else drawing_of(figure)
    name, key = key, keyed(key)
    if is_of_other():
        alt, on_click, on_cell = f"Run A, pinned: {alt}", None, None
    clickable = on_click is not None or on_cell is not None

    def clicked() -> None:
        if (told := reported(key, "clicked")) is None:
            return
        point = Point(**told)
        if on_click:
            on_click(point)
        elif on_cell and point.cell:
            on_cell((int(point.cell[0]), int(point.cell[1])))

    told: dict[str, Any] = {"on_clicked_change": clicked} if clickable else {}
    place = st.empty() if waits() else nullcontext()

    def emit(drawn: Drawing) -> None:
        with place:
            data = chart_data(drawn, key, alt, view)
            data |= {"clickable": clickable, "table": not has_table}
            _chart(key=key, data=data, **told)

    wait(name, drawn, emit)


def chart_data(
    figure: AnyFigure | Drawing, key: str, alt: str, view: Hashable = None
) -> dict[str, Any]:
    """Return what the script of a chart that nobody can click is given."""
    drawn = figure if isinstance(figure, Drawing) else drawing_of(figure)
    return {
        "figure": drawn.json,
        "height": drawn.height,
        "alt": alt,
        "name": "inlook-" + key.replace("_", "-").replace(".", "-"),
        "view": None if view is None else str(view),
        "clickable": False,
        "table": True,
        "script": f"{_ADDRESS}?{plotly.__version__}",
    }


def plotly_script() -> bytes:
    """Return Plotly's script, all of it."""
    return (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()


@cache
def _script() -> bytes:
    return gzip.compress(plotly_script(), 6)


async def _serve(request: Request) -> Response:
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_script(), media_type="text/javascript", headers=headers)


PLOTLY_ROUTE = Route(f"/{_ADDRESS}", _serve)
"""A third of the size that Streamlit's own copy has on its way to the browser."""
