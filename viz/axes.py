"""What do axes say? Their titles, ranges and ticks, as dictionaries that go into a layout."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from viz import theme
from viz.numbers import Number

Axis = dict[str, Any]

MAX_LAYER_TICKS = 16
MAX_SHARE_TICKS = 6
SHARE_STEPS = tuple(n * 10.0**power for power in range(-9, 0) for n in (1, 2, 5))
"""Distances of ticks on an axis of shares, up to a half."""


def axis(title: str | None = None, standoff: int | None = None, **more: Any) -> Axis:
    """An axis that can be zoomed.

    Args:
        title: What is written beside it.
        standoff: Pixels from its ticks to the title, where it is not for Plotly to choose.
        more: Plotly's properties of axes.
    """
    return more if title is None else {"title": {"text": title, "standoff": standoff}, **more}


def fixed(title: str | None = None, **more: Any) -> Axis:
    """An axis that cannot be zoomed: dragging over it scrolls the page."""
    return axis(title, fixedrange=True, **more)


def shares(title: str, top: Number, low: Number = 0, **more: Any) -> Axis:
    """An axis of probabilities or other shares: its ticks end at 100%, whatever room is beyond.

    Args:
        title: What is written beside it.
        top: The end of the axis; above 1 where texts stand behind the longest bars.
        low: Its beginning, where marks need room below nothing.
        more: Plotly's properties of axes.
    """
    steps = (step for step in SHARE_STEPS if top / step <= MAX_SHARE_TICKS)
    step = next(steps, SHARE_STEPS[-1])
    at = [n * step for n in range(int(min(1.0, top) / step + 1e-9) + 1)]
    labels = ticks([f"{float(f'{100 * share:.6g}'):g}%" for share in at], at)
    return fixed(title, range=[low, top], **labels, **more)


def stacked(panels: Sequence[Axis], x: Axis, spacing: float) -> Axis:
    """Return a layout of panels above each other, the first on top, that share an x axis.

    Their marks say in which one they are by `in_panel`.

    Args:
        panels: The y axis of each.
        x: The x axis; it is written under the last one.
        spacing: Between two panels, as a share of the whole height.
    """
    n = len(panels)
    height = (1 - spacing * (n - 1)) / n
    quiet = {name: value for name, value in x.items() if name != "title"}
    quiet |= {"matches": f"x{n}", "showticklabels": False}
    layout: Axis = {}
    for i, y in enumerate(panels):
        number = i + 1 if i else ""
        low = (n - 1 - i) * (height + spacing)
        shown = x if i == n - 1 else quiet
        layout[f"xaxis{number}"] = {**shown, "anchor": f"y{number}", "domain": [0, 1]}
        layout[f"yaxis{number}"] = {**y, "anchor": f"x{number}", "domain": [low, low + height]}
    return layout


def in_panel(i: int) -> Axis:
    """Return the axes of marks in the i-th of some stacked panels, counted from 0."""
    number = i + 1 if i else ""
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def hidden(low: Number, high: Number, **more: Any) -> Axis:
    """An axis that only places things."""
    return fixed(visible=False, range=[low, high], **more)


def across(n: int) -> list[float]:
    """The range of so many columns that are counted from 0."""
    return [-0.5, n - 0.5]


def down(n: int) -> list[float]:
    """The range of so many rows that are counted from 0, the first on top."""
    return [n - 0.5, -0.5]


def ticks(texts: Iterable[str], at: Iterable[Number] | None = None) -> Axis:
    """Write texts at some places, by default at 0, 1, 2...

    Plotly merges equal category labels, so repeated tokens need numbers underneath.
    """
    texts = list(texts)
    places = range(len(texts)) if at is None else at
    return {"tickmode": "array", "tickvals": list(places), "ticktext": texts}


def ticks_at(texts: Mapping[Any, str]) -> Axis:
    """Write each text at its place."""
    return ticks(texts.values(), texts.keys())


def token_axis(tokens: Sequence[str]) -> Axis:
    """Label the integer positions 0, 1, 2... with tokens, all of them."""
    return ticks(map(theme.shorten, tokens))


def rows(texts: Iterable[str], title: str | None = None, **more: Any) -> Axis:
    """An axis of labelled rows, the first on top."""
    labels = ticks(texts)
    return fixed(title, **{"range": down(len(labels["ticktext"])), **labels, **more})


def every(n: int, most: int = MAX_LAYER_TICKS) -> int:
    """Return which n-th of some ticks to write, so that there are no more than `most`."""
    return max(1, -(-n // most))


def layers(n_layers: int, title: str = "layer", **more: Any) -> Axis:
    """An axis of layers, each one wide."""
    place = {"dtick": every(n_layers), "range": across(n_layers), "showgrid": False}
    return fixed(title, **place, **more)


def layer_texts(n_layers: int, step: int) -> dict[int, str]:
    """Name the embedding, at -1, and every n-th layer, at its number."""
    return {-1: "embed", **{i: str(i) for i in range(0, n_layers, step)}}


def categories(title: str, labels: Sequence[str] | None = None, **more: Any) -> Axis:
    """An axis of token labels.

    Args:
        title: What is written beside it.
        labels: All labels in their order, where some might not occur in what is drawn first.
        more: Plotly's properties of axes.
    """
    order = {} if labels is None else {"categoryorder": "array", "categoryarray": labels}
    return axis(title, type="category", ticks="", showgrid=False, **order, **more)


def ranks(highest: Number, **more: Any) -> Axis:
    """A logarithmic axis of ranks, the first on top.

    Args:
        highest: The last rank to show.
        more: Plotly's properties of axes.
    """
    power = float(np.log10(max(10, highest)))
    powers = [10**n for n in range(int(power) + 1)]
    labels = ticks([f"{rank:,}" for rank in powers], powers)
    return fixed("rank (1 is the top)", type="log", range=[power + 0.1, -0.15], **labels, **more)
