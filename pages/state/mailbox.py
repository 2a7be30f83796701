"""What is asked for once, and what a click reports: it leaves it, the next run takes it.

TO_MEASURE = Message[int]("race.to_measure")
st.button("Run", on_click=TO_MEASURE.leave, args=(3,))
if (n_rounds := TO_MEASURE.take()) is not None: ...
"""

from typing import Any, Generic, TypeVar, cast

import streamlit as st

Asked = TypeVar("Asked")


class Message(Generic[Asked]):
    """One kind of message; what is left twice before it is taken counts once, the last."""

    def __init__(self, name: str) -> None:
        self._key = f"mailbox.{name}"

    def leave(self, asked: Asked) -> None:
        """Leave a message for the next run."""
        _box()[self._key] = asked

    def take(self) -> Asked | None:
        """Return the message and forget it; None if there is none."""
        return cast("Asked | None", _box().pop(self._key, None))

    def peek(self) -> Asked | None:
        """Return the message without taking it; None if there is none."""
        return cast("Asked | None", _box().get(self._key))

    @property
    def waits(self) -> bool:
        """Whether `take` would return a message."""
        return self._key in _box()


def reported(key: str, part: str | None = None) -> Any:
    """Return what a widget, or a part of a component, reports in a callback.

    None where there is nothing: a click may arrive for a widget that the last run did not draw, and
    Streamlit then keeps no value under its key.
    """
    told = st.session_state.get(key)
    return told if part is None or told is None else told.get(part)


def _box() -> dict[str, Any]:
    return st.session_state.setdefault("mailbox", {})
