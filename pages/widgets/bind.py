"""Widgets that show a field of the view and change it.

    layer = bind(st.selectbox, "Layer", "layer", options=range(12))
    step = bind(st.slider, "Step", "attention.step", min_value=0, max_value=9)
    top_k = bind(column.number_input, "Top-k", "decoding.top_k", min_value=0, none_is=0)
    for name, tab in zip(TABS, tabs("attention.tab", TABS)):
        if tab.open:
            with tab: ...

A browser goes on showing what it keeps under a widget's id; only under an id that is new to it
does it show the script's `value`, `index` or `default`. Hence two rules: every run gives each
widget the view's value as that argument, and a value that did not come from the widget itself gets
a new id, for the key ends in a generation. No single message has to arrive, nor at some moment.

While the pinned run is drawn beside the visitor's, no widget is: its value holds for both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.state.view import value_of
from pages.state.visit import is_of_other, page_name, put, uses, view

_SLOTS = "bind.slots"
_PLACE: ContextVar[DeltaGenerator | None] = ContextVar("bind.place", default=None)
_KEPT = 8
"""Generations of a widget whose late reports are told from clicks."""
_VALUE_ARGUMENT = {
    **dict.fromkeys(("segmented_control", "pills", "multiselect", "pagination"), "default"),
    **dict.fromkeys(("selectbox", "radio"), "index"),
}

Read = Callable[[Any], Any]


@dataclass
class _Slot:
    """One widget's place: its limits, newest generation, and what each generation shows."""

    limits: str
    n: int
    born: Any
    seen: dict[int, Any]


def bind(
    widget: Callable[..., Any],
    label: str,
    field: str,
    *,
    options: Sequence[Any] | range | None = None,
    format_func: Callable[[Any], str] = str,
    none_is: Any = None,
    when_none: Any = None,
    keeps: bool = False,
    blank: bool = False,
    slot: str = "",
    everywhere: bool = False,
    also: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """Draw a widget for a field of the view; return the value that is shown and to be used.

    A value of the view that the widget cannot show is pulled to the nearest one that it can.

    Args:
        widget: Such as `st.slider` or `column.selectbox`.
        label: The widget's label.
        field: The field's dotted name.
        options: What there is to choose from, of any type, None too. With `accept_new_options`,
            what is typed becomes the field's value; offer it in the next run.
        format_func: Writes an option.
        none_is: The number or text that stands for None, both ways: a `top_k` of 0 is none.
        when_none: What is shown and returned while the view has None; choosing it stores it.
        keeps: Leave a value that is out of reach in the view, for where it can be shown.
        blank: Show nothing while the view has what is none of the options, and leave it alone.
        slot: Tells two widgets of one kind and field on a page apart.
        everywhere: It stands on every page, and stays the same widget when the page changes.
        also: Other fields that a choice in the widget sets, and their values.
        **arguments: What else the widget takes.
    """
    wanted = value_of(view(), field)
    value = when_none if wanted is None and when_none is not None else wanted
    if options is None:
        raw, read, limits = _number_or_text(value, none_is, arguments)
    else:
        options = tuple(options)
        raw = None if blank and value not in options else _among(options, value)
        read = _reader(options)
        limits = [format_func(option) for option in options]
        arguments |= {"options": range(len(options)), "format_func": limits.__getitem__}
    if is_of_other():
        return value if blank else read(raw)
    if not blank:
        value = _within_reach(field, value, read(raw), keeps)
    uses(field)
    name = f"{'all' if everywhere else page_name()}.{field}.{widget.__name__}{slot}"
    key, took, _ = _place(name, field, raw, limits, read)
    arguments[_VALUE_ARGUMENT.get(widget.__name__, "value")] = raw
    told: dict[str, Any] = {"on_change": _take, "args": took, "kwargs": {"also": also}}
    place = _PLACE.get()
    with nullcontext() if place is None else place:
        draw = widget if place is None else getattr(st, widget.__name__)
        reported = draw(label, key=key, **told, **arguments)
    if reported != raw:  # the browser knows better, as after the server was started anew
        _take(*took, reported, also=also)
        st.rerun()
    return value


@contextmanager
def controls_in(place: DeltaGenerator) -> Iterator[None]:
    """Have what is bound stand in a place of its own: over both of two pictures, say."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def tabs(
    field: str, options: Sequence[str], *, labels: Sequence[str] | None = None, slot: str = ""
) -> Sequence[Any]:
    """Draw tabs for a field's options; fill the open one only: `if tab.open:`.

    A tab that the view names but this page lacks now opens the first one instead.
    """
    names = list(labels or options)
    wanted = value_of(view(), field)
    raw = names[options.index(wanted) if wanted in options else 0]
    uses(field)
    read = dict(zip(names, options, strict=True)).__getitem__
    key, took, born = _place(f"{page_name()}.{field}.tabs{slot}", field, raw, names, read)
    return st.tabs(names, key=key, default=born, on_change=_take, args=took)


def expander(label: str, field: str, *, slot: str = "", **arguments: Any) -> Any:
    """Draw an expander for a field that says whether it is open."""
    if is_of_other():
        return st.expander(label, expanded=value_of(view(), field))
    uses(field)
    place, is_open = f"{page_name()}.{field}.expander{slot}", value_of(view(), field)
    key, took, born = _place(place, field, is_open, label, bool)
    return st.expander(label, expanded=born, key=key, on_change=_take, args=took, **arguments)


def _number_or_text(
    value: Any, none_is: Any, arguments: dict[str, Any]
) -> tuple[Any, Read, list[Any]]:
    raw = none_is if value is None else value
    if "min_value" in arguments:
        low, high = arguments["min_value"], arguments.get("max_value")
        raw = _clamped(raw, low, high)
    limits = [arguments.get(name) for name in ("min_value", "max_value", "step", "max_chars")]

    def read(reported: Any) -> Any:
        return None if none_is is not None and reported == none_is else reported

    return raw, read, limits


def _clamped(raw: Any, low: Any, high: Any) -> Any:
    if isinstance(raw, tuple):
        return tuple(_clamped(one, low, high) for one in raw)
    raw = max(raw, low)
    return raw if high is None else min(raw, high)


def _among(options: tuple, value: Any) -> int | list[int] | None:
    """The position of a value among the options, or of the nearest one; a list for a tuple."""
    if isinstance(value, tuple) and value not in options:
        return [options.index(item) for item in value if item in options]
    if not options:
        return None
    if value in options:
        return options.index(value)
    numbers = [one for one in options if isinstance(one, int | float)]
    if not numbers or not isinstance(value, int | float | None):
        return 0
    return options.index(min(numbers, key=lambda one: abs(one - (value or 0))))


def _reader(options: tuple) -> Read:
    def read(reported: Any) -> Any:
        if isinstance(reported, list | tuple):
            return tuple(options[one] for one in reported)
        if reported is None or isinstance(reported, str):  # a text: typed as an option of its own
            return reported
        return options[reported]

    return read


def _within_reach(field: str, value: Any, near: Any, keeps: bool) -> Any:
    """Return what can be shown; have the view take it over, unless it keeps what it has."""
    if near == value or keeps:
        return near
    put({field: near})
    st.rerun()  # what was drawn above still has the old value


def _place(place: str, field: str, raw: Any, limits: Any, read: Read) -> tuple[str, tuple, Any]:
    """Return a widget's key, its callback's arguments, and what this generation first showed.

    The generation stays as long as it is known to show `raw` within the same limits.
    """
    limits = repr(limits)
    slots: dict[str, _Slot] = st.session_state.setdefault(_SLOTS, {})
    slot = slots.get(place) or _Slot("", -1, None, {-1: None})
    known = f"{place}.{slot.n}" in st.session_state
    if not known or slot.limits != limits or slot.seen[slot.n] != raw:
        late = {n: slot.seen[n] for n in [*slot.seen][-_KEPT:]}
        slot = slots[place] = _Slot(limits, slot.n + 1, raw, {**late, slot.n + 1: raw})
    return f"{place}.{slot.n}", (place, slot.n, field, read), slot.born


def _take(
    place: str,
    n: int,
    field: str,
    read: Read,
    *reported: Any,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Take over what a widget reports, unless it only repeats what it was given."""
    slot, key = st.session_state.get(_SLOTS, {}).get(place), f"{place}.{n}"
    if slot is None:
        return
    seen = slot.seen
    value = reported[0] if reported else st.session_state.get(key, seen.get(n))
    if n in seen and value != seen[n]:
        seen[n] = value
        if value is not None:  # None: nothing is chosen, so the next run draws the widget anew
            put({**(also or {}), field: read(value)})
