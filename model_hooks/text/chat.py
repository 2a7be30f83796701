"""How is a conversation written as one text, by a template that nobody has read?

A chat template is a program that comes with a checkpoint. It runs in a process of its own
(`chat_worker.py`), whose time, memory and answer are bounded: what it cannot do there it cannot do
at all.
"""

import atexit
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_hooks.errors import PromptError
from model_hooks.opening.reasons import reason

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 10**9
MOST_CHARACTERS = 2_000_000
"""Of what a template writes."""
START_S = 120.0
"""How long the process may take to begin."""
WORKER = Path(__file__).with_name("chat_worker.py")


def fill_in(
    template: str, turns: Sequence[Mapping[str, str]], special_tokens: Mapping[str, Any]
) -> str:
    """Write a conversation as one text, up to where the model answers.

    Args:
        template: A chat template (Jinja), as transformers renders it.
        turns: Each with a `role` and its `content`.
        special_tokens: Names that the template may use, such as `bos_token`, and their texts.

    Raises:
        PromptError: It fails, or takes too much time or memory; the message says which.
    """
    tokens = {name: str(token) for name, token in special_tokens.items()}
    asked = {"template": template, "turns": list(turns), "special_tokens": tokens}
    answer = json.loads(_worker.ask(json.dumps(asked)))
    if "text" in answer:
        return answer["text"]
    raise PromptError(
        "This tokenizer's chat template could not be filled in with this conversation: "
        f"{reason(ValueError(answer['problem']))}."
    )


class _Worker:
    """The process that fills in templates, one after the other; started when first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    def ask(self, line: str) -> str:
        """Return what the process answers to a line."""
        with self._asking:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._start()
            begun = time.monotonic()
            answer = self._exchange(line, TIME_LIMIT_S)
            if answer:
                return answer
            self._end()
            if time.monotonic() - begun < TIME_LIMIT_S:
                return json.dumps({"problem": "it ends the process that fills it in"})
            return json.dumps({"problem": f"it does not end within {TIME_LIMIT_S:g} seconds"})

    def _start(self) -> None:
        limits = [str(MEMORY_LIMIT_BYTES), str(MOST_CHARACTERS)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
        )
        if not self._exchange("", START_S):
            self._end()
            raise PromptError("The process that fills in chat templates could not be started.")

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


_worker = _Worker()
atexit.register(_worker._end)
