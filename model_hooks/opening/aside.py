"""How is something asked for that may never end, or fill the memory? In a process of its own.

What comes with a checkpoint may be a program. The process that runs it is ended when it takes too
long, and ends by itself when it takes too much memory.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

START_S = 120.0
"""How long a process may take to begin."""
ENVIRONMENT = {"RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "RUST_BACKTRACE": "0"}
"""Each thread would reserve memory that counts, and a backtrace is written for nobody."""


class EndedError(Exception):
    """A process gave no answer: it had to be ended, or ended itself; the message says which."""


class Aside:
    """A process that answers one line after the other, each one JSON object.

    It is started when first asked, and again when it has ended. It answers an empty line with `{}`
    to say that it has begun, and ends when its standard input closes, as it does when the app ends.

    Args:
        worker: The script that it runs.
        n_bytes: Of memory, by which it may grow after it has begun.
        arguments: What the script is given.
    """

    def __init__(self, worker: Path, n_bytes: int, *arguments: str) -> None:
        self._command = [sys.executable, "-P", str(worker), *arguments]
        self._n_bytes = n_bytes
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()
        atexit.register(self._end)

    def ask(self, asked: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer to a question.

        Args:
            asked: Plain values.
            seconds: How long the answer may take.

        Raises:
            EndedError: There is none.
        """
        with self._asking:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._start()
            begun = time.monotonic()
            answer = self._exchange(json.dumps(asked), seconds)
            if answer:
                return json.loads(answer)
            self._end()
            if time.monotonic() - begun < seconds:
                raise EndedError("it ends the process that tries it")
            raise EndedError(f"it does not end within {seconds:g} seconds")

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ENVIRONMENT},
            text=True,
            encoding="ascii",
        )
        if not self._exchange("", START_S):
            self._end()
            raise EndedError("the process that tries it could not be started")
        _limit_memory(self._process.pid, self._n_bytes)

    def _exchange(self, line: str, seconds: float) -> str:
        """Write a line and read one; nothing if the process ended, or had to be."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline()
        except OSError:
            return ""
        finally:
            timer.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _limit_memory(pid: int, n_bytes: int) -> None:
    """Let a process grow by so much; nothing where the system knows no such limit."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        taken = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        limit = (taken + n_bytes, taken + n_bytes)
        resource.prlimit(pid, resource.RLIMIT_AS, limit)  # Linux alone has it
