"""How do two pictures of a kind get one scale? The larger one's axes and colours hold for both.

What is drawn inside `collected` waits until the other picture is there, too: `emit_on_one_scale`
then draws both.
"""

import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import orjson

from pages.widgets.drawing import Drawing

KEPT = 64
ROOM = 0.06
"""Of an axis that Plotly would choose, what is left free at its ends."""
ROOM_BESIDE = 0.3
"""The same where numbers stand beside bars."""
_TICKS = ("tickmode", "tickvals", "ticktext", "dtick", "tick0", "tickformat")


class Waiting(NamedTuple):
    """A chart that is not drawn yet."""

    name: str
    """The same for both runs."""
    drawn: Drawing
    emit: Callable[[Drawing], None]


_WAITING: ContextVar[list[Waiting] | None] = ContextVar("one_scale.waiting", default=None)


@contextmanager
def collected() -> Iterator[list[Waiting]]:
    """Let charts wait, and collect them."""
    found: list[Waiting] = []
    token = _WAITING.set(found)
    try:
        yield found
    finally:
        _WAITING.reset(token)


def waits() -> bool:
    """Whether charts are collected."""
    return _WAITING.get() is not None


def wait(name: str, drawn: Drawing, emit: Callable[[Drawing], None]) -> None:
    """Let a chart wait, if charts are collected; else draw it."""
    if (waiting := _WAITING.get()) is None:
        emit(drawn)
    else:
        waiting.append(Waiting(name, drawn, emit))


def emit_on_one_scale(of_a: Sequence[Waiting], of_b: Sequence[Waiting]) -> None:
    """Draw what waits; charts of the same name get one scale."""
    others = {one.name: one for one in of_a}
    for one in of_b:
        if (other := others.pop(one.name, None)) is None:
            one.emit(one.drawn)
            continue
        first, second = on_one_scale(other.drawn, one.drawn)
        other.emit(first)
        one.emit(second)
    for other in others.values():
        other.emit(other.drawn)


@functools.lru_cache(maxsize=KEPT)
def on_one_scale(a: Drawing, b: Drawing) -> tuple[Drawing, Drawing]:
    """Return two drawings whose axes and colours reach equally far."""
    figures = orjson.loads(a.json), orjson.loads(b.json)
    _share_colours(*(figure["data"] for figure in figures))
    layouts = [figure["layout"] for figure in figures]
    for name in layouts[0].keys() & layouts[1].keys():
        if name.startswith(("xaxis", "yaxis")):
            _share_axis(name, figures[0], figures[1])
    first, second = (
        Drawing(orjson.dumps(figure).decode(), drawn.height)
        for figure, drawn in zip(figures, (a, b), strict=True)
    )
    return first, second


def _share_colours(a: list[Any], b: list[Any]) -> None:
    for one, other in zip(a, b, strict=False):
        if "zmax" not in one or "zmax" not in other:
            continue
        larger = max((one, other), key=lambda mark: mark["zmax"] - mark["zmin"])
        low, high = min(one["zmin"], other["zmin"]), max(one["zmax"], other["zmax"])
        bar = larger.get("colorbar")
        for mark in (one, other):
            mark |= {"zmin": low, "zmax": high} | ({} if bar is None else {"colorbar": bar})


def _share_axis(name: str, a: Any, b: Any) -> None:
    axes = a["layout"][name], b["layout"][name]
    if any(not _counts(axis) for axis in axes) or len({_title(axis) for axis in axes}) > 1:
        return
    found = [axis.get("range") or _reach(name, of) for axis, of in zip(axes, (a, b), strict=True)]
    ranges = [one for one in found if one is not None and _is_of_values(one)]
    if len(ranges) < len(found):
        return
    larger = max(range(2), key=lambda i: abs(ranges[i][1] - ranges[i][0]))
    ends = [end for one in ranges for end in one]
    low, high = min(ends), max(ends)
    shared = [high, low] if ranges[larger][0] > ranges[larger][1] else [low, high]
    ticks = {key: axes[larger][key] for key in _TICKS if key in axes[larger]}
    for axis in axes:
        axis |= {"range": shared} | ticks


def _counts(axis: Any) -> bool:
    """Whether an axis may be one of numbers: rows that Plotly places are labelled one by one."""
    of_rows = axis.get("type") == "category" or ("ticktext" in axis and "range" not in axis)
    return not of_rows and axis.get("visible") is not False


def _title(axis: Any) -> str:
    return (axis.get("title") or {}).get("text", "")


def _is_of_values(limits: list[Any]) -> bool:
    """Whether an axis has numbers; rows, columns and layers are counted from -0.5."""
    return all(isinstance(one, int | float) for one in limits) and -0.5 not in limits


def _reach(name: str, figure: Any) -> list[float] | None:
    """The range that Plotly would choose; None where bars pile up or nothing is a number."""
    if figure["layout"].get("barmode") in ("stack", "relative"):
        return None
    letter, number = name[0], name[len("xaxis") :]
    found = [0.0] if figure["layout"][name].get("rangemode") == "tozero" else []
    share = ROOM
    for mark in figure["data"]:
        if mark.get(f"{letter}axis", letter) == letter + number and mark.get("visible", True):
            values = _numbers(mark.get(letter))
            if values is None:
                return None
            found += [0.0] if mark.get("type") == "bar" else []
            share = ROOM_BESIDE if mark.get("textposition") == "outside" else share
            found += values[np.isfinite(values)].tolist()
    if not found:
        return None
    room = share * (max(found) - min(found) or 1.0)
    low, high = min(found), max(found)
    return [low - room if low else 0.0, high + room if high else 0.0 if low else 1.0]


def _numbers(values: Any) -> np.ndarray | None:
    if isinstance(values, dict) and "bdata" in values:
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).astype(float)
    try:
        return np.array([np.nan if one is None else one for one in values or []], np.float64)
    except (TypeError, ValueError):
        return None
