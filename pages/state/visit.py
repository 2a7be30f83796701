"""Where this visitor's view is kept, how it changes, and how it agrees with the address.

    begin(whole_view(), page="attention")   # in app.py, before anything is drawn, in each full run
    put(layer=3)                            # a button's callback
    put({"attention.measure": "size"})
    st.page_link(page, query_params=link())   # keeps the view, in a new tab too

No clock: the address is believed in a new session and when the browser says that its user stepped
through the history. In every other run the session's view is the truth and the address follows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, TypeVar, cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import RunLocation, ThreadState

from pages.state.link import decode, encode, names_in, unreadable
from pages.state.mailbox import Message
from pages.state.view import (
    FIRST_LOOKS,
    Attendance,
    Selection,
    View,
    changed_copy,
    fields_of,
    name_of_part,
    value_of,
)

_VIEW, _PAGE, _PUT_AWAY, _DRAWN, _PARENTS, _PARTS, _UNSAID, _IS_WHOLE = (
    f"visit.{name}"
    for name in ("view", "page", "put_away", "drawn", "parents", "parts", "unsaid", "is_whole")
)
PARTS_ALONE = True
"""Whether parts of the window are drawn anew without the rest, where that is enough."""
_SET = "set"
UNREADABLE = Message[tuple[str, ...]]("visit.unreadable")
"""Fields that a visitor's link told and that could not be read."""
_OTHER: ContextVar[View | None] = ContextVar("visit.other", default=None)
OF_A = ".a"
"""Ends the keys of what is drawn of the pinned run."""
Part = TypeVar("Part")


def begin(kind: type, page: str) -> None:
    """Find out what this visitor sees; `page` is the folder of the page about to be drawn."""
    state, address = st.session_state, st.query_params.to_dict()
    stepped = _context().is_history_navigation
    state[_DRAWN], state[_PARTS], state[_UNSAID], state[_IS_WHOLE] = {}, {}, set(), False
    if _VIEW not in state or type(state[_VIEW]) is not kind or stepped:
        state[_VIEW] = decode(kind, address)
        if damaged := unreadable(kind, address):
            UNREADABLE.leave(damaged)
    elif _SET in address and page != state.get(_PAGE):
        told = decode(kind, address)
        names = names_in(kind, address[_SET])
        put({name: value_of(told, name) for name in names}, now=False)
    state[_PAGE] = page
    if stepped or decode(kind, address) != view():
        st.query_params.from_dict(encode(view()))


def end() -> None:
    """Note that the whole window has been drawn: from now on parts of it may be drawn alone.

    A run that a click cut off has left the window as it was before, and the next one draws it all.
    """
    st.session_state[_IS_WHOLE] = True


def view() -> View:
    """Return what this visitor sees; inside of `looking_at`, the other run."""
    return _OTHER.get() or _own_view()


@contextmanager
def looking_at(
    other: Selection | None, pos: int | None = None, *, same_tokens: bool = True
) -> Iterator[None]:
    """Have `view()` say that another run is looked at; nothing is changed.

    So that whatever is asked or drawn about the visitor's run can be about the pinned one.

    Args:
        other: The run; None is the visitor's own, as it is.
        pos: The position in it that is looked at.
        same_tokens: Whether a token ID means the same there.
    """
    seen, own = None, _own_view()
    if other is not None:
        changes = {one.name: getattr(other, one.name) for one in fields(Selection)}
        seen = _fitting(own, replace(own, **changes, pos=pos), same_tokens)
    token = _OTHER.set(seen)
    try:
        yield
    finally:
        _OTHER.reset(token)


def _fitting(own: View, other: View, same_tokens: bool) -> View:
    """Take back what means nothing there: positions of another text, tokens of another model."""
    same_text = same_tokens and (own.prompt, own.written) == (other.prompt, other.written)
    changes = {}
    for name, (_, metadata) in fields_of(type(other)).items():
        of_text = bool(metadata.get("forgotten")) and "prompt" in metadata["belongs_to"]
        of_tokens = "model" in metadata.get("belongs_to", ()) and not metadata.get("carried")
        lost = (of_text and not same_text) or (of_tokens and not of_text and not same_tokens)
        if lost and name != "pos" and not hasattr(Selection, name.partition(".")[0]):
            changes[name] = value_of(type(other)(), name)
    return changed_copy(other, changes)


def keyed(key: str) -> str:
    """Return the key of what is drawn: of the pinned run, it is another one."""
    return f"{key}{OF_A}" if is_of_other() else key


def is_of_other() -> bool:
    """Whether the pinned run is looked at: what is wrong with it may not end the page."""
    return _OTHER.get() is not None


def _own_view() -> View:
    return st.session_state[_VIEW]


def part(kind: type[Part]) -> Part:
    """Return a page's part of the view."""
    return cast("Part", getattr(view(), name_of_part(kind)))


def page_name() -> str:
    """Return the folder of the page that is open."""
    return st.session_state[_PAGE]


def put(
    some: Mapping[str, Any] = MappingProxyType({}), /, *, now: bool = True, **changes: Any
) -> None:
    """Change fields by their dotted names.

    One call is one step of the browser's history. Inside a fragment whatever shows one of the
    fields outside it is drawn anew, too; as that ends the run, put comes last.

    Args:
        some: New values by name, for names with a dot.
        now: False waits with the address, and with all that is drawn outside this part of the
            page, for the next call or full run.
        **changes: New values.

    Raises:
        ValueError: A value is out of its range.
    """
    before = _own_view()
    changes = {**some, **changes}
    _become(_followed(before, changed_copy(before, changes), changes), now)


def show(whole: View, *, now: bool = True) -> None:
    """See all of another view, such as a lesson's; what belongs together is not touched.

    Args:
        whole: The view.
        now: As in `put`.
    """
    _become(whole, now)


def _become(after: View, now: bool) -> None:
    before = _own_view()
    if after == before:
        return
    st.session_state[_VIEW] = after
    changed = {name for name in fields_of(type(after)) if _differs(before, after, name)}
    changed |= st.session_state.get(_UNSAID, set())
    st.session_state[_UNSAID] = set() if now else changed
    if not now:
        return
    st.query_params.from_dict(encode(after))
    if _context().fragment_ids_this_run and (parts := _parts_elsewhere(changed)):
        _draw_anew(parts)


def redraw(*names: str) -> None:
    """Draw anew what shows some fields, and no more if that can be; the end of a callback."""
    _draw_anew(_parts_elsewhere(names))


def redraw_window() -> None:
    """Draw everything anew; the end of a callback."""
    if current_fragment() is not None:
        st.rerun()


def uses(*names: str) -> None:
    """Say that what is drawn here shows these fields, though no widget for them is bound here."""
    for name in names:
        st.session_state[_DRAWN].setdefault(name, set()).add(current_fragment())


def link(**changes: Any) -> dict[str, str]:
    """Return query parameters for `st.page_link`: the view's, or those of a changed one."""
    told = {_SET: "~".join(changes)} if changes else {}
    return encode(changed_copy(_own_view(), changes)) | told


def link_for_others() -> dict[str, str]:
    """Return the view's query parameters without what says who its visitor is in a class."""
    return encode(replace(_own_view(), attends=Attendance()))


def current_fragment() -> str | None:
    """Return the fragment that is being drawn or called back; None outside of all."""
    return ThreadState.get().fragment_id


def note_parent(parent: str | None) -> None:
    """Note that the current fragment lies inside another one."""
    st.session_state.setdefault(_PARENTS, {})[current_fragment()] = parent


def note_part(key: str) -> None:
    """Note that the current fragment is a part of the window, under the key that it has."""
    st.session_state.setdefault(_PARTS, {})[current_fragment()] = key


def _draw_anew(parts: set[str | None]) -> None:
    """Draw parts of the window and the one that was clicked in, or all of it; ends the run."""
    here, order = current_fragment(), st.session_state[_PARTS]
    if ThreadState.get().run_location is RunLocation.CALLBACK:
        wanted = parts if here is None else parts | {_part_around(here)}
        if wanted == {here}:
            return  # the run that this click began draws it
        alone = PARTS_ALONE and st.session_state.get(_IS_WHOLE)
        if alone and wanted and None not in wanted:
            st.rerun([key for part, key in order.items() if part in wanted])
    else:
        queue = [*_context().fragment_ids_this_run]
        if (part := _part_around(here)) in queue and parts <= {*queue[queue.index(part) + 1 :]}:
            return  # they are drawn later in this run
    if here is not None:
        st.rerun()


def _parts_elsewhere(names: Iterable[str]) -> set[str | None]:
    """The parts of the window that show some fields outside the current fragment.

    None is what lies outside of all parts.
    """
    here, drawn = current_fragment(), st.session_state[_DRAWN]
    shown_in = {fragment for name in names for fragment in drawn.get(name, ())}
    return {_part_around(one) for one in shown_in if here is None or not _lies_in(one, here)}


def _part_around(fragment: str | None) -> str | None:
    while fragment is not None and fragment not in st.session_state[_PARTS]:
        fragment = st.session_state.get(_PARENTS, {}).get(fragment)
    return fragment


def _context() -> Any:
    context = get_script_run_ctx()
    assert context is not None, "a view belongs to a browser session"
    return context


def _differs(before: View, after: View, name: str) -> bool:
    return value_of(before, name) != value_of(after, name)


def _lies_in(fragment: str | None, outer: str | None) -> bool:
    """Whether a fragment is another one or inside it, so that it is drawn anew with it."""
    while fragment is not None and fragment != outer:
        fragment = st.session_state.get(_PARENTS, {}).get(fragment)
    return fragment == outer


def _followed(before: View, after: View, told: Collection[str]) -> View:
    """Let fields follow those that they belong to, which come before them, unless they were told.

    What belongs to a model is put away with it, and comes back with it.
    """
    for name, (_, metadata) in fields_of(type(after)).items():
        owners = metadata.get("belongs_to", ())
        if name in told or _differs(before, after, name):
            continue
        if not any(_differs(before, after, owner) for owner in owners):
            continue
        put_away = st.session_state.setdefault(_PUT_AWAY, {})
        if not metadata.get("forgotten"):
            put_away[name, _owner(before, owners)] = value_of(before, name)
        default = value_of(type(after)(), name)
        unknown = value_of(after, name) if metadata.get("carried") else default
        if unknown == default:
            unknown = FIRST_LOOKS.get(after.model, {}).get(name, default)
        found = put_away.get((name, _owner(after, owners)), unknown)
        after = changed_copy(after, {name: found})
    return after


def _owner(of: View, owners: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(value_of(of, owner) for owner in owners)
