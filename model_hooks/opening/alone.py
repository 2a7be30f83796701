"""How is a model built by one thread at a time, and while none runs that would notice?

While transformers builds or loads a model it changes what the whole process shares: the default
dtype, torch's functions that draw weights, whether embeddings are tied. Two threads at once would
see, and put back, each other's changes; and a model that runs meanwhile would compute some of its
numbers in another model's dtype.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import modeling_utils


class Building:
    """Held by whoever builds, loads or wraps a model: `with building: ...`."""

    def __init__(self) -> None:
        self._lock, self._depth = threading.RLock(), 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._set_dtype = modeling_utils.local_torch_dtype
            modeling_utils.local_torch_dtype = _while_nothing_runs(self._set_dtype)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            modeling_utils.local_torch_dtype = self._set_dtype
        self._lock.release()


class Runs:
    """Many models may run at once, but none while something changes that all of them share."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._running = 0
        self._changing = False
        self._mine = threading.local()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Wait for a change to end; none begins before this does."""
        depth = getattr(self._mine, "depth", 0)
        if depth == 0:
            with self._turn:
                self._turn.wait_for(lambda: not self._changing)
                self._running += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if depth == 0:
                with self._turn:
                    self._running -= 1
                    self._turn.notify_all()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Wait for all runs to end; none begins before this does. One change at a time."""
        with self._turn:
            self._changing = True
            self._turn.wait_for(lambda: self._running == 0)
        try:
            yield
        finally:
            with self._turn:
                self._changing = False
                self._turn.notify_all()


building = Building()
_runs = Runs()


def run_with_own_dtype(model: nn.Module) -> None:
    """Let a model never run while another one is built under another default dtype."""
    run = model.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with _runs.run():
            return run(*args, **kwargs)

    model.forward = forward


def _while_nothing_runs(set_dtype: Any) -> Any:
    """Return transformers' own context for instantiating a model, with nothing running in it."""

    @contextmanager
    def alone(dtype: torch.dtype, *args: Any, **kwargs: Any) -> Iterator[None]:
        if dtype == torch.get_default_dtype():
            with set_dtype(dtype, *args, **kwargs):
                yield
            return
        with _runs.change(), set_dtype(dtype, *args, **kwargs):
            yield

    return alone
