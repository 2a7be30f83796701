"""A figure as it is sent to browsers, drawn once for all who look at the same.

    chart(drawing(attention_heatmap, weights, tokens), key="attention_matrix", alt=...)

A drawing is kept by what was drawn: the function of `viz` and the values that it was given.
"""

import hashlib
import pickle
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import plotly.graph_objects as go
from cachetools import LRUCache, cached

from viz.figure import Figure

AnyFigure = Figure | go.Figure
KEPT_BYTES = 48 * 2**20
"""What all kept drawings may take."""


class Drawing(NamedTuple):
    """A figure's JSON, and what a page wants to know of it."""

    json: str
    height: float | None
    """In pixels; None leaves it to the chart."""


def _key_of(draw: Callable[..., AnyFigure], *given: Any, **named: Any) -> bytes:
    """Equal keys are equal values: pickled, every one of them is in there, arrays whole."""
    if any(callable(value) for value in (*given, *named.values())):
        raise TypeError("a drawing is kept by values: what is looked up while it is drawn is none")
    values = pickle.dumps((draw, given, named), protocol=5)
    return hashlib.blake2b(values, digest_size=20).digest()


_KEPT: LRUCache[bytes, Drawing] = LRUCache(KEPT_BYTES, lambda found: len(found.json))


@cached(_KEPT, key=_key_of, condition=threading.Condition())
def drawing(draw: Callable[..., AnyFigure], *given: Any, **named: Any) -> Drawing:
    """Return what a function of `viz` draws of some values, the kept one where there is one.

    Args:
        draw: The function.
        *given: Plain values for it.
        **named: More of them, by name.
    """
    return drawing_of(draw(*given, **named))


def drawing_of(figure: AnyFigure) -> Drawing:
    """Return a figure as it is sent."""
    if isinstance(figure, Figure):
        return Drawing(figure.written(), figure.height)
    return Drawing(str(figure.to_json(validate=False)), figure.layout.height)
