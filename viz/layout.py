"""What stands around what is drawn? Legends, notes, frames, panels and players."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from viz import theme
from viz.axes import hidden
from viz.numbers import Number

Part = dict[str, Any]


def legend(y: Number = 1, **more: Any) -> Part:
    """A legend above the plot, in one line where there is room.

    Args:
        y: Where it stands; 1 is the upper edge of the plot.
        more: Plotly's properties of legends.
    """
    return {"orientation": "h", "x": 0, "y": y, "yanchor": "bottom", **more}


def note(x: Number, y: Number, text: str, **more: Any) -> Part:
    """A text in the plot, without an arrow: goes into a layout's `annotations`."""
    return {"x": x, "y": y, "text": text, "showarrow": False, **more}


def box(x: tuple[Number, Number], y: tuple[Number, Number], colour: str, width: Number = 2) -> Part:
    """A frame: goes into a layout's `shapes`."""
    (x0, x1), (y0, y1) = x, y
    line = {"color": colour, "width": width}
    return {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "line": line}


def band(x0: Number, x1: Number) -> Part:
    """Shade a part of the x axis over the full height: goes into a layout's `shapes`."""
    look = {"fillcolor": theme.HIGHLIGHT, "opacity": 0.15, "line": {"width": 0}, "layer": "below"}
    place = {"xref": "x", "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1}
    return {"type": "rect", **place, **look}


def selected_band(selected: int | None) -> list[Part]:
    """Shade the place of what is selected, if anything is, where each has a width of 1."""
    return [] if selected is None else [band(selected - 0.5, selected + 0.5)]


def row_sizes(n_rows: int, *, above: int = 10, below: int = 50) -> Part:
    """Give every row of a figure the same height, however many there are: part of a layout.

    Args:
        n_rows: Rows of the y axis.
        above: Pixels above the plot.
        below: Pixels beneath it, for the axis.
    """
    return {"height": n_rows * theme.CELL_PX + above + below, "margin": {"t": above, "b": below}}


def diagram(
    x: tuple[Number, Number],
    y: tuple[Number, Number],
    notes: list[Part],
    *,
    height: int,
    **more: Any,
) -> Part:
    """The layout of a drawing without axes.

    Args:
        x: From where to where it reaches.
        y: The same, vertically.
        notes: The texts in it.
        height: In pixels.
        more: Plotly's properties of layouts.
    """
    axes = {"xaxis": hidden(*x), "yaxis": hidden(*y)}
    return {**axes, "annotations": notes, "height": height, "showlegend": False, **more}


def titles_left(figure: go.Figure) -> go.Figure:
    """Let the titles of stacked panels begin where the panels do."""
    return figure.update_annotations(x=0, xanchor="left", font_size=14)


def buttons(redraw: bool, milliseconds: int, **more: Any) -> list[Part]:
    """The buttons that play the frames of a figure: a layout's `updatemenus`.

    Args:
        redraw: Whether a frame changes more than where things are.
        milliseconds: How long each frame stands.
        more: Plotly's properties of the menu, such as its place.
    """
    still = at_once(redraw)
    play = {**still, "frame": {"duration": milliseconds, "redraw": redraw}, "fromcurrent": True}
    both = [
        {"label": "▶ Play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ Pause", "method": "animate", "args": [[None], still]},
    ]
    look = {"type": "buttons", "direction": "left", "showactive": False}
    return [{**look, "buttons": both, **more}]


def slider(names: Sequence[str], redraw: bool, prefix: str, **more: Any) -> list[Part]:
    """A slider with a stop for each frame of a figure: a layout's `sliders`.

    Args:
        names: The frames' names.
        redraw: Whether a frame changes more than where things are.
        prefix: What stands before the name of the current frame.
        more: Plotly's properties of sliders.
    """
    still = at_once(redraw)
    steps = [{"method": "animate", "label": name, "args": [[name], still]} for name in names]
    return [{"currentvalue": {"prefix": prefix}, "steps": steps, **more}]


def at_once(redraw: bool) -> Part:
    """How to change to a frame without a transition."""
    frame = {"duration": 0, "redraw": redraw}
    return {"mode": "immediate", "frame": frame, "transition": {"duration": 0}}
