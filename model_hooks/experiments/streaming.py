"""How does work that hands values over as it goes become an iterator that can be left?"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

Value = TypeVar("Value")

POLL_S = 0.05
PATIENCE_S = 60.0
"""How long the work waits for somebody to ask for more."""


class StoppedError(BaseException):
    """Nobody asks for more: raised inside the work, to end it."""


def streamed(work: Callable[[Callable[[Value], None]], Value]) -> Iterator[Value]:
    """Yield what some work hands over, and last what it returns.

    The work runs in a thread of its own, one value ahead at the most. Closing the iterator ends it
    at the next value; so does leaving the iterator alone for long.

    Args:
        work: Is given a function to hand a value over with.

    Raises:
        Exception: What the work raises.
    """
    values: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        waited = 0.0
        while not stopped.is_set() and waited < PATIENCE_S:
            try:
                return values.put((kind, value), timeout=POLL_S)
            except queue.Full:
                waited += POLL_S
        raise StoppedError

    def run() -> None:
        with suppress(StoppedError):
            try:
                put("last", work(lambda value: put("value", value)))
            except StoppedError:
                raise
            except BaseException as error:
                put("error", error)

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        while True:
            kind, value = values.get()
            if kind == "error":
                raise value
            yield value
            if kind == "last":
                return
    finally:
        stopped.set()
        thread.join()
