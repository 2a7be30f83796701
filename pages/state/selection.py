"""What is being looked at, the same on every page and in the link: prompt, layer, decoding...

One `Selection` per browser session. Pages read it with `selection()` and change it with
`select(layer=3)`; the widgets of `pages.widgets.controls` do both. Every change is written to
the address bar, where a value that equals its default is left out.

Streamlit's own `bind="query-params"` is not used: it drops a parameter from the address as soon as
its widget is not on the page, and a copied link has to keep the layer on a page without a layer
picker.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import streamlit as st

DEFAULT_MODEL = "storyteller"
DEFAULT_PROMPT = "Once upon a time, there was a little"
MAX_LINK_PROMPT = 2000
"""A longer prompt or generated text (in characters) is left out of the address: servers refuse
long ones."""

_SELECTION = "inlook.selection"
_WRITTEN = "inlook.link_written"
_LINK_DELAY_S = 1.0


@dataclass(frozen=True)
class Selection:
    """Everything a copied link restores."""

    model: str = DEFAULT_MODEL
    prompt: str = DEFAULT_PROMPT
    pos: int | None = None
    """A token's position from 0; None is the last one, which makes the prediction."""
    layer: int = 0
    head: int | None = 0
    """None is the mean over all heads."""
    strategy: Literal["greedy", "sample"] = "greedy"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    seed: int = 0
    use_cache: bool = True
    stage: str = "tokenizer"
    """The stage of the forward pass that is open."""
    written: tuple[int, ...] = ()
    """IDs of the tokens generated after the prompt."""


def selection() -> Selection:
    """Return what this browser session looks at."""
    return st.session_state.setdefault(_SELECTION, Selection())


def select(*, now_in_link: bool = True, **changes: Any) -> None:
    """Change some fields of the selection, in the session and in the address bar.

    What was generated belongs to its model and prompt: another one begins anew.

    Args:
        now_in_link: False leaves the address bar as it is until the next full run.
        **changes: Fields and their new values.
    """
    changed = replace(selection(), **changes)
    if (changed.model, changed.prompt) != (selection().model, selection().prompt):
        changed = replace(changed, written=())
    if changed != selection():
        st.session_state[_SELECTION] = changed
        if now_in_link:
            _write_link(changed)


def follow_link() -> None:
    """Take over the address bar's values: called by app.py at the start of each full run.

    A new session, or one whose user went back in the browser's history, follows the address. An
    address that lags behind a click of the last second does not undo that click. Changing page
    empties the address; it is written again.
    """
    known = _SELECTION in st.session_state
    link = st.query_params.to_dict()
    written, moment = st.session_state.get(_WRITTEN, ({}, -math.inf))
    if link and (not known or (link != written and time.monotonic() - moment > _LINK_DELAY_S)):
        st.session_state[_SELECTION] = from_link(link)
        st.session_state[_WRITTEN] = (link, time.monotonic())
    current = selection()
    if link != to_link(current):
        _write_link(current)


def from_link(link: Mapping[str, str]) -> Selection:
    """Read query parameters; what cannot be read keeps its default."""
    values = {}
    for field in fields(Selection):
        if field.name in link:
            try:
                values[field.name] = _READERS[field.name](link[field.name])
            except ValueError:
                continue
    return Selection(**values)


def to_link(selected: Selection) -> dict[str, str]:
    """Write what differs from the defaults as query parameters."""
    link = {}
    for field in fields(Selection):
        value = getattr(selected, field.name)
        if value != field.default:
            link[field.name] = _WRITERS.get(field.name, _write)(value)
    for name in ("prompt", "written"):
        if len(link.get(name, "")) > MAX_LINK_PROMPT:
            del link[name]
    return link


def _write_link(selected: Selection) -> None:
    link = to_link(selected)
    st.session_state[_WRITTEN] = (link, time.monotonic())
    st.query_params.from_dict(link)


def _write(value: Any) -> str:
    return "mean" if value is None else str(value)


def _whole(text: str) -> int:
    return max(0, int(text))


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _one_of(*options: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in options:
            raise ValueError(f"{text} is not one of {options}")
        return text

    return read


_READERS: dict[str, Callable[[str], Any]] = {
    "model": str,
    "prompt": str,
    "pos": _whole,
    "layer": _whole,
    "head": lambda text: None if text == "mean" else _whole(text),
    "strategy": _one_of("greedy", "sample"),
    "temperature": _number,
    "top_k": _whole,
    "top_p": _number,
    "min_p": _number,
    "repetition_penalty": _number,
    "seed": _whole,
    "use_cache": lambda text: _one_of("True", "False")(text) == "True",
    "stage": str,
    "written": lambda text: tuple(_whole(token_id) for token_id in text.split(".")),
}
_WRITERS: dict[str, Callable[[Any], str]] = {
    "written": lambda token_ids: ".".join(map(str, token_ids)),
}
