"""Whose turn is it? A queue for work that only few may do at the same time.

Who came first goes first; but one step of a long run waits for clicks that came a little later, so
that a long run never holds up those who only click. So does what somebody asks for who has a place
already: ten tabs of one person count little more than one.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

YIELDS_S = 2.0
"""A step of a long run lets clicks go first that come within this time after it, and so does a
person's second place; the third twice that time, and so on."""
LOOK_S = 0.25
"""Between two looks at one's place in the queue."""

Place = tuple[float, int]


class Turns:
    """A number of turns at the same time, and a queue for them.

    Args:
        n: How many; None for any number.
    """

    def __init__(self, n: int | None = None) -> None:
        self._n, self._running = n, 0
        self._waiting: list[Place] = []
        self._places_of: Counter[str] = Counter()
        self._change = threading.Condition()
        self._count = itertools.count()
        self._mine = threading.local()

    @property
    def n_waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """How many have their turn."""
        return self._running

    @contextmanager
    def turn(
        self,
        *,
        long: bool = False,
        person: str | None = None,
        on_wait: Callable[[int], None] = lambda n_before: None,
    ) -> Iterator[None]:
        """Wait for a turn and have it; a turn inside of a turn is the same one.

        Args:
            long: Whether it is a step of a long run.
            person: Who asks, if that is known.
            on_wait: Called again and again while waiting, with how many go first; an exception ends
                the waiting.
        """
        if getattr(self._mine, "has", False):
            yield
            return
        with self._place(person) as n_others:
            later = YIELDS_S * (n_others + long)
            self._wait((time.monotonic() + later, next(self._count)), on_wait)
            self._mine.has = True
            try:
                yield
            finally:
                self._mine.has = False
                with self._change:
                    self._running -= 1
                    self._change.notify_all()

    @contextmanager
    def _place(self, person: str | None) -> Iterator[int]:
        """Note that somebody waits or works; tell how many places of theirs there are already."""
        if person is None:
            yield 0
            return
        with self._change:
            n_others, self._places_of[person] = self._places_of[person], self._places_of[person] + 1
        try:
            yield n_others
        finally:
            with self._change:
                self._places_of -= Counter([person])  # which forgets a name at 0

    def _wait(self, place: Place, on_wait: Callable[[int], None]) -> None:
        with self._change:
            self._waiting.append(place)
        try:
            while not self._taken(place):
                on_wait(self._before(place))
        finally:
            with self._change:
                self._waiting.remove(place)
                self._change.notify_all()

    def _taken(self, place: Place) -> bool:
        """Take the turn if it is there within a moment."""
        with self._change:
            if not self._change.wait_for(lambda: self._is_next(place), LOOK_S):
                return False
            self._running += 1
            return True

    def _is_next(self, place: Place) -> bool:
        return self._n is None or self._before(place) < self._n - self._running

    def _before(self, place: Place) -> int:
        return sum(other < place for other in tuple(self._waiting))
