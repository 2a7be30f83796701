"""What is kept when memory is bounded? The most recently used values, up to a number of bytes."""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakSet

Value = TypeVar("Value")
_clock = itertools.count()


class SharedBytes:
    """A number of bytes that several stores have together: each model has stores of its own.

    Over it goes what was used longest ago, in whichever store it is.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.lock = threading.RLock()
        self.stores: WeakSet[BoundedStore] = WeakSet()

    @property
    def held(self) -> int:
        """Bytes of all that the stores keep."""
        with self.lock:
            return sum(store.held for store in self.stores)

    def make_room(self, newest: "BoundedStore") -> None:
        """Drop values until the limit is kept, but not the last one of the store that grew."""
        while self.held > self.max_bytes:
            full = [store for store in self.stores if len(store) > (store is newest)]
            if not full:
                return
            min(full, key=lambda store: store.oldest).drop_oldest()


class _Kept(NamedTuple):
    """A value, and when it was used last."""

    used: int
    value: Any


class BoundedStore(Generic[Value]):
    """The most recently used values, up to a number of bytes; losing one only costs time.

    Safe to use from many threads. The newest value stays even if it alone is over the limit.
    """

    def __init__(
        self, max_bytes: int, nbytes: Callable[[Value], int], shared: SharedBytes | None = None
    ) -> None:
        self._max_bytes, self._nbytes, self._shared = max_bytes, nbytes, shared
        self._values: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = threading.RLock() if shared is None else shared.lock
        self.held = 0
        """Bytes of all that is kept."""
        if shared is not None:
            with shared.lock:
                shared.stores.add(self)

    def __len__(self) -> int:
        """Number of values kept."""
        return len(self._values)

    @property
    def oldest(self) -> int:
        """When the value was used that was used longest ago."""
        return next(iter(self._values.values())).used

    def get(self, key: Hashable) -> Value | None:
        """Return a value and mark it as used, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values[key] = self._values.pop(key)._replace(used=next(_clock))
            return self._values[key].value

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value, dropping the least recently used ones over the limit."""
        with self._lock:
            if key in self._values:
                self.held -= self._nbytes(self._values.pop(key).value)
            self._values[key] = _Kept(next(_clock), value)
            self.held += self._nbytes(value)
            while self.held > self._max_bytes and len(self._values) > 1:
                self.drop_oldest()
            if self._shared is not None:
                self._shared.make_room(self)

    def drop_oldest(self) -> None:
        """Drop the value that was used longest ago."""
        with self._lock:
            self.held -= self._nbytes(self._values.popitem(last=False)[1].value)

    def items(self) -> list[tuple[Any, Value]]:
        """Return what is kept now, the most recently used first."""
        with self._lock:
            return [(key, kept.value) for key, kept in reversed(self._values.items())]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self.held = 0
