"""What was measured for one visitor, and would come out otherwise if it were asked again.

RESULT = Kept[Result]("kv_cache.result")
RESULT.put(result)
if (result := RESULT.get()) is not None: ...

It stays until the session ends, and is in no link: only what was chosen is.
"""

from typing import Any, Generic, TypeVar, cast

import streamlit as st

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """A place for one value per visitor."""

    def __init__(self, name: str) -> None:
        self._key = f"kept.{name}"

    def put(self, value: Value) -> None:
        """Keep a value in the place of the one before."""
        _all()[self._key] = value

    def get(self) -> Value | None:
        """Return the value; None if there is none."""
        return cast("Value | None", _all().get(self._key))

    def drop(self) -> None:
        """Forget the value."""
        _all().pop(self._key, None)


def _all() -> dict[str, Any]:
    return st.session_state.setdefault("kept", {})
