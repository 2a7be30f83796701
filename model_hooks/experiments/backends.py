"""How long does attention take on this machine, and how much memory, by way of computing it?

A process of its own does the work (`backends_worker.py`): it can be stopped at once, its memory can
be told apart, and nobody else's click waits for it. Who asks gets a ticket, and looks with it at
what was found so far.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model_hooks.errors import InlookError
from model_hooks.info import ModelInfo
from model_hooks.loading import free_bytes
from model_hooks.model import HookedModel

BACKENDS = ("eager", "sdpa math", "sdpa flash", "flex")
MATERIALISING = ("eager", "sdpa math")
"""Those that hold the whole matrix of scores, several times over."""
MATRICES_HELD = 4
MEMORY_SHARE = 0.5
TIME_LIMIT_S = 300.0
KEPT_RUNS = 16
"""Runs that can still be looked at; beyond, the oldest is forgotten."""
WORKER = Path(__file__).with_name("backends_worker.py")


class BusyError(InlookError):
    """A measurement is running already: two at a time would spoil each other."""


@dataclass(frozen=True)
class Shapes:
    """What attention is measured on: one layer of a model, filled with random numbers."""

    n_heads: int
    n_kv_heads: int
    d_head: int
    dtype: str
    device: str

    @classmethod
    def of(cls, info: ModelInfo) -> "Shapes":
        """Return the shapes of a loaded model."""
        return cls(info.n_heads, info.n_kv_heads, info.d_head, info.dtype, info.device)

    def longest_materialised(self) -> int:
        """Return the longest text whose matrices of scores fit into half of the free memory."""
        itemsize = getattr(torch, self.dtype).itemsize
        room = MEMORY_SHARE * free_bytes(self.device) / (MATRICES_HELD * self.n_heads * itemsize)
        return int(room**0.5)


@dataclass(frozen=True)
class Measurement:
    """One backend at one length."""

    backend: str
    n_positions: int
    seconds: float
    """Median of several runs, after one to warm up."""
    fastest: float
    slowest: float
    n_runs: int
    peak_bytes: int | None
    """Memory taken beyond query, key and value; None where this system does not tell."""


@dataclass(frozen=True)
class Progress:
    """What a run has found so far."""

    running: bool
    doing: str | None = None
    """What is measured at the moment, for people; None before the first."""
    measurements: tuple[Measurement, ...] = ()
    unavailable: tuple[tuple[str, str], ...] = ()
    """Backends that do not run here, each with the reason."""
    failure: str | None = None
    """Why the whole run ended early."""


@dataclass(frozen=True)
class Report:
    """What was asked of a run, and what it has found so far."""

    shapes: Shapes
    lengths: tuple[int, ...]
    n_threads: int
    left_out: tuple[int, ...]
    """Lengths at which a whole matrix of scores would take too much memory."""
    progress: Progress


def start_backends(model: HookedModel, lengths: tuple[int, ...]) -> str:
    """Start to measure attention in a model's shapes; return a ticket to look and to stop with.

    Raises:
        BusyError: Another run has not ended yet.
    """
    run, ticket = BackendRun(Shapes.of(model.info), lengths), secrets.token_hex(4)
    with _keeping:
        _runs[ticket] = run
        while len(_runs) > KEPT_RUNS:
            del _runs[next(iter(_runs))]
    return ticket


def backends_report(model: HookedModel, ticket: str) -> Report | None:
    """Return what a run has found so far; None if it is unknown, or was for other shapes."""
    run = _runs.get(ticket)
    if run is None or run.shapes != Shapes.of(model.info):
        return None
    return Report(run.shapes, run.lengths, run.n_threads, run.left_out(), run.progress)


def stop_backends(model: HookedModel, ticket: str) -> None:
    """End a run now, whatever model it is for; what was found stays."""
    if (run := _runs.get(ticket)) is not None:
        run.stop()


class BackendRun:
    """A measurement in a process of its own, one at a time per server.

    Args:
        shapes: What to measure on.
        lengths: Texts of how many tokens, the shortest first.
        backends: Names of `BACKENDS`, in the order they run.
        time_limit_s: The process is ended after this time.

    Raises:
        BusyError: Another run has not ended yet.
    """

    _slot = threading.Lock()

    def __init__(
        self,
        shapes: Shapes,
        lengths: Sequence[int],
        backends: Sequence[str] = BACKENDS,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        if not BackendRun._slot.acquire(blocking=False):
            raise BusyError(
                "Another measurement is running on this server, and two would slow each other "
                "down: try again in a minute."
            )
        self.shapes, self.lengths = shapes, tuple(lengths)
        self.n_threads = torch.get_num_threads()
        self.longest_materialised = shapes.longest_materialised()
        self._progress = Progress(running=True)
        self._stopped = False
        job = {
            **vars(shapes),
            "lengths": self.lengths,
            "backends": list(backends),
            "materialising": MATERIALISING,
            "longest_materialised": self.longest_materialised,
            "n_threads": self.n_threads,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER), json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,
            )
        except OSError:
            BackendRun._slot.release()
            raise
        self._timer = threading.Timer(time_limit_s, self.stop)
        self._timer.daemon = True
        self._timer.start()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def progress(self) -> Progress:
        """What was found so far."""
        return self._progress

    def left_out(self) -> tuple[int, ...]:
        """Return the lengths at which a whole matrix of scores would take too much memory."""
        return tuple(n for n in self.lengths if n > self.longest_materialised)

    def stop(self) -> None:
        """End the process now; what was found stays."""
        if self._process.poll() is None:
            self._stopped = True
            _end_group(self._process)

    def wait(self, timeout_s: float) -> Progress:
        """Wait until all is measured, at most this long, and return what was found."""
        self._process.wait(timeout_s)
        while self._progress.running:
            threading.Event().wait(0.01)
        return self._progress

    def _read(self) -> None:
        """Take over what the process writes, until it ends."""
        try:
            with self._process as process:
                for line in process.stdout or ():
                    self._take(json.loads(line))
        finally:
            self._timer.cancel()
            BackendRun._slot.release()
            failed = self._process.returncode and not self._stopped
            self._progress = replace(
                self._progress,
                running=False,
                doing=None,
                failure="The measuring process ended early." if failed else None,
            )

    def _take(self, message: dict) -> None:
        now = self._progress
        if "reason" in message:
            unavailable = (*now.unavailable, (message["backend"], message["reason"]))
            self._progress = replace(now, unavailable=unavailable)
        elif "seconds" in message:
            found = (*now.measurements, Measurement(**message))
            self._progress = replace(now, measurements=found)
        else:
            self._progress = replace(now, doing=message["doing"])


_runs: dict[str, BackendRun] = {}
_keeping = threading.Lock()

# Large tensors go back to the system at once, so that the peak of the next run counts them again;
# and compiling starts no pool of processes.
_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


def _end_group(process: subprocess.Popen) -> None:
    """End a process and what it started, such as a compiler."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
