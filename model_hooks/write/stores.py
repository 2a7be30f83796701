"""What is kept when memory is bounded? The most recently used values, up to a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class BoundedStore(Generic[Value]):
    """The most recently used values, up to a number of bytes; losing one only costs time.

    Safe to use from many threads. The newest value stays even if it alone is over the limit.
    """

    def __init__(self, max_bytes: int, nbytes: Callable[[Value], int]) -> None:
        self._max_bytes, self._nbytes = max_bytes, nbytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()
        self._held = 0

    def __len__(self) -> int:
        """Number of values kept."""
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return a value and mark it as used, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value, dropping the least recently used ones over the limit."""
        with self._lock:
            if key in self._values:
                self._held -= self._nbytes(self._values.pop(key))
            self._values[key] = value
            self._held += self._nbytes(value)
            while self._held > self._max_bytes and len(self._values) > 1:
                self._held -= self._nbytes(self._values.popitem(last=False)[1])

    def items(self) -> list[tuple[Any, Value]]:
        """Return what is kept now, the most recently used first."""
        with self._lock:
            return list(reversed(self._values.items()))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self._held = 0
