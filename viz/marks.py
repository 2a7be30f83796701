"""What is drawn in a figure? Lines, dots, bars and cells, as dictionaries that Plotly takes.

A dictionary costs half of what the same object of `plotly.graph_objects` does: Plotly checks it
once, when the figure is made.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.numbers import Number

Mark = dict[str, Any]


def hover(text: str) -> str:
    """A template for hovers without the box beside them that repeats the name."""
    return f"{text}<extra></extra>"


def said(texts: Iterable[str]) -> Mark:
    """Say a text of its own on hover over each mark."""
    return {"hovertext": list(texts), "hovertemplate": hover("%{hovertext}")}


def in_cells(values: Float[np.ndarray, "row column"], write: Callable[[float], str]) -> Mark:
    """Write each number of a heatmap into its cell, where there is one.

    The browser takes black or white for each text, whichever can be read on its cell.
    """
    texts = [["" if np.isnan(one) else write(one) for one in row] for row in values.tolist()]
    return {"text": texts, "texttemplate": "%{text}"}


def beside(texts: Iterable[str] | None) -> Mark:
    """Write a text at the end of each bar, even where that is outside the plot."""
    written = None if texts is None else list(texts)
    return {"text": written, "textposition": "outside", "cliponaxis": False}


def hatched(flags: Iterable[bool | np.bool_], size: Number | None = None) -> Mark:
    """Hatch those bars whose flag is true, so that they differ by more than colour."""
    return {"shape": ["/" if flag else "" for flag in flags], "size": size}


def always(opacity: Number) -> Mark:
    """Keep marks as they are when one of them is clicked; Plotly pales the others."""
    look = {"marker": {"opacity": opacity}}
    return {"selected": look, "unselected": look}


def line(
    x: Any, y: Any, colour: str, width: Number | None = 2, dash: str | None = None, **more: Any
) -> Mark:
    """A line through points.

    Args:
        x: Where the points are; None leaves a gap.
        y: The same, vertically.
        colour: Of the line.
        width: In pixels.
        dash: How it is broken.
        more: Plotly's properties of scatter traces.
    """
    stroke = {"color": colour, "width": width, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": stroke, **more}


def dots(
    x: Any,
    y: Any,
    colour: Any,
    size: Any = 8,
    symbol: Any = None,
    rim: Mark | None = None,
    opacity: Number | None = None,
    **more: Any,
) -> Mark:
    """Points, each with a mark.

    Args:
        x: Where they are.
        y: The same, vertically.
        colour: One, or one each.
        size: In pixels; one, or one each.
        symbol: One, or one each.
        rim: The line around each.
        opacity: Of the marks.
        more: Plotly's properties of scatter traces.
    """
    look = {"color": colour, "size": size, "symbol": symbol}
    marker = {**look, "line": rim, "opacity": opacity}
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, **more}


def marked_line(
    x: Any, y: Any, look: theme.Look, size: Any = 8, width: Number | None = 2, **more: Any
) -> Mark:
    """A line through points that also have a mark each.

    Args:
        x: Where the points are.
        y: The same, vertically.
        look: Colour, dash and symbol.
        size: Of the marks, in pixels.
        width: Of the line, in pixels.
        more: Plotly's properties of scatter traces.
    """
    marker = {"symbol": look.symbol, "size": size}
    drawn = {"mode": "lines+markers", "marker": marker, **more}
    return line(x, y, look.colour, width, look.dash, **drawn)


def bars(
    x: Any,
    y: Any,
    colour: Any,
    pattern: Mark | None = None,
    rim: Mark | None = None,
    **more: Any,
) -> Mark:
    """Upright bars.

    Args:
        x: Where they stand.
        y: How high they are.
        colour: One, or one each.
        pattern: How they are hatched, such as `hatched` says.
        rim: The line around each.
        more: Plotly's properties of bar traces.
    """
    marker = {"color": colour, "pattern": pattern, "line": rim}
    return {"type": "bar", "x": x, "y": y, "marker": marker, **more}


def rows_of_bars(lengths: Any, colour: Any, pattern: Mark | None = None, **more: Any) -> Mark:
    """Bars from left to right, in rows that are counted from 0.

    Args:
        lengths: How long they are.
        colour: One, or one each.
        pattern: How they are hatched, such as `hatched` says.
        more: Plotly's properties of bar traces; a `y` gives other rows.
    """
    rows = {"y": list(range(len(lengths))), "orientation": "h"} | more
    return bars(lengths, rows.pop("y"), colour, pattern, **rows)


def cells(z: Any, limits: tuple[Number, Number], colours: Any, **more: Any) -> Mark:
    """A matrix of coloured cells.

    Args:
        z: The numbers, row by row; NaN leaves a cell empty.
        limits: The numbers with the first and the last colour.
        colours: The scale, such as `theme.scale` makes.
        more: Plotly's properties of heatmaps.
    """
    low, high = limits
    return {"type": "heatmap", "z": z, "zmin": low, "zmax": high, "colorscale": colours, **more}


def diverging(z: Float[np.ndarray, "..."], limit: Number, **more: Any) -> Mark:
    """A matrix of cells in colours from negative over zero to positive.

    Args:
        z: The numbers, row by row.
        limit: The absolute number with the strongest colours.
        more: Plotly's properties of heatmaps.
    """
    return cells(z, (-limit, limit), theme.scale(theme.DIVERGING), **more)


def bar_below(title: str, **more: Any) -> Mark:
    """The scale of colours as a thin bar under the plot, not beside it: phones are narrow.

    Args:
        title: What the numbers are.
        more: Plotly's properties of colour bars.
    """
    place = {"orientation": "h", "thickness": 8, "len": 1, "y": 0, "yanchor": "top", "ypad": 8}
    return {**place, "title": {"text": title, "side": "bottom"}, **more}


def largest(values: Float[np.ndarray, "..."]) -> float:
    """Return the largest number that is one, at least 0."""
    return float(values[np.isfinite(values)].max(initial=0.0))


def signs(
    x: Any, y: Any, texts: Iterable[str], colour: Any, size: Number, text_size: Number, **more: Any
) -> Mark:
    """Filled marks with a sign in the middle of each.

    Args:
        x: Where they are.
        y: The same, vertically.
        texts: The signs.
        colour: Of the marks.
        size: Of the marks, in pixels.
        text_size: Of the signs, in pixels.
        more: Plotly's properties of scatter traces.
    """
    inside = {"text": list(texts), "textposition": "middle center"}
    font = {"color": "white", "size": text_size}
    return dots(x, y, colour, size, textfont=font, **inside, **{"mode": "markers+text", **more})
