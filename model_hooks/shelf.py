"""Which models stay in memory, and which one goes when there is no room for another?

They are kept by the memory that they take: the one that was used longest ago goes first, and one
that a run is using never.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from cachetools import Cache, cached

from model_hooks.errors import ModelTooLargeError
from model_hooks.model import HookedModel

SHARE = 0.4
"""Of the memory that this process may take, how much the weights of all models may."""
WORTH_DROPPING = 0.2
"""Idle models that take less of it do not go for one that would not fit anyway."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Shelf:
    """Opens models, each once, and keeps them.

    Safe to use from many threads: what two ask for at once is opened once.

    Args:
        open_model: Opens a model by its name.
        n_bytes: What all together may take; the newest model stays in any case. By default a share
            of the memory of this machine or container.
    """

    def __init__(
        self, open_model: Callable[[str], HookedModel], n_bytes: int | None = None
    ) -> None:
        self._open, self._lock = open_model, threading.Condition()
        most = int(memory_limit() * SHARE) if n_bytes is None else n_bytes
        # What is larger than everything may take would not be kept at all.
        self._kept = _Kept(most, lambda model: min(weights_bytes(model), most))
        self._get = cached(self._kept, key=str, condition=self._lock)(self._opened)

    def get(self, name: str) -> HookedModel:
        """Return a model, opened if need be.

        Raises:
            InlookError: It cannot be opened; the message says why.
        """
        return self._get(name)

    @contextmanager
    def used(self, name: str) -> Iterator[None]:
        """Keep a model for as long as this lasts, once it is there."""
        with self._lock:
            self._kept.in_use[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._kept.in_use -= Counter([name])  # which forgets a name at 0

    def _opened(self, name: str) -> HookedModel:
        try:
            return self._open(name)
        except ModelTooLargeError:
            with self._lock:
                made_room = self._kept.drop_idle()
            if not made_room:
                raise
        return self._open(name)

    def clear(self) -> None:
        """Drop all models."""
        self._get.cache_clear()

    @property
    def n_bytes(self) -> int:
        """What the kept ones take."""
        return int(self._kept.currsize)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._kept))


class _Kept(Cache):
    """Values by name; what was used longest ago and is not in use goes first."""

    def __init__(self, most: int, size_of: Callable[[HookedModel], int]) -> None:
        super().__init__(most, size_of)
        self.in_use: Counter[str] = Counter()
        self._order: OrderedDict[str, None] = OrderedDict()

    def __getitem__(self, name: str) -> HookedModel:
        value = super().__getitem__(name)
        self._order.move_to_end(name)
        return value

    def __setitem__(self, name: str, value: HookedModel) -> None:
        super().__setitem__(name, value)
        self._order[name] = None
        self._order.move_to_end(name)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        del self._order[name]

    def popitem(self) -> tuple[str, HookedModel]:
        """Remove the one that was used longest ago.

        Raises:
            ValueError: All are in use: what was to come instead is not kept.
        """
        idle = next((name for name in self._order if not self.in_use[name]), None)
        if idle is None:
            raise ValueError("all are in use")
        return idle, self.pop(idle)

    def drop_idle(self) -> bool:
        """Remove all that are not in use, if that makes much room; tell whether it did."""
        idle = [name for name in self._order if not self.in_use[name]]
        if sum(self.getsizeof(self[name]) for name in idle) < WORTH_DROPPING * self.maxsize:
            return False
        for name in idle:
            del self[name]
        return True


def weights_bytes(model: HookedModel) -> int:
    """Return what a model's weights take."""
    return sum(p.nbytes for p in model.model.parameters())


def memory_limit() -> int:
    """Return the bytes of memory of this machine, or of its container if it has a limit."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # there is no container, or "max"
        return total
