"""Where are the models that this server asks: in this process, or on a cluster?

`INLOOK_MODELS` says it (`pages/server/settings.py`); nobody who asks notices.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Protocol

from cachetools import TTLCache
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model_hooks.cluster.asking import Loopback, OnWait
from model_hooks.cluster.client import Client
from model_hooks.cluster.places import LOOPBACK, TOKEN
from model_hooks.host import Answers, Host, Question, name_of
from model_hooks.read.recorded import info_of
from pages.ask.queue_line import QueueLine
from pages.ask.threads import N_THREADS
from pages.server.counters import gauge
from pages.server.settings import settings
from pages.server.visitors import leave_if_gone


def answering() -> Answers:
    """Return who answers questions, as the settings say."""
    address = settings().models_at
    if address not in ("", LOOPBACK):
        return Far(Client(address, os.environ.get(TOKEN, "")))
    from pages.ask.opening import open_frozen

    own = Host(open_frozen, n_threads=N_THREADS)
    gauge("inlook_models_bytes", "Memory of models.", lambda: own.sizes().models)
    gauge("inlook_written_bytes", "Memory of runs to write on from.", lambda: own.sizes().written)
    gauge("inlook_traces_bytes", "Memory of traces.", lambda: own.sizes().traces)
    return own if address == "" else Loopback(own)


FACTS = name_of(info_of)
"""What each part of a page asks first, so that its model is there: here the cluster sees to it."""
FACTS_S = 2.0
"""After which it is found out again whether the cluster is there."""


class Asks(Protocol):
    """What asks a cluster: a `Client`, or what counts for one."""

    def answer(self, question: Question, session: str, on_wait: OnWait) -> Any:
        """Return a plain value, or an iterator over them."""
        ...


class Far:
    """Answers from a cluster, with a line that says how many come before while one waits."""

    def __init__(self, client: Asks) -> None:
        self._client = client
        self._facts: TTLCache[Question, Any] = TTLCache(64, FACTS_S)
        self._lock = threading.Lock()

    def answer(self, question: Question) -> Any:
        """Return the cluster's answer.

        Raises:
            AwayError: It gives none.
            InlookError: There is no answer; the message says why.
        """
        if question.function != FACTS:
            return self._asked(question)
        with self._lock:
            facts = self._facts.get(question)
        if facts is None:
            facts = self._asked(question)
            with self._lock:
                self._facts[question] = facts
        return facts

    def _asked(self, question: Question) -> Any:
        line = QueueLine()

        def on_wait(n_before: int | None) -> None:
            leave_if_gone()
            if n_before is None:
                line.clear()
            else:
                line.say(n_before)

        try:
            answer = self._client.answer(question, _session(), on_wait)
        finally:
            line.clear()
        return _cleared(answer, line) if hasattr(answer, "__next__") else answer


def _cleared(values: Iterator[Any], line: QueueLine) -> Iterator[Any]:
    with closing(values):  # type: ignore[type-var]
        for value in values:
            line.clear()
            yield value


def _session() -> str:
    """Return what keeps this tab's questions together, and tells nobody which tab it is."""
    context = get_script_run_ctx(suppress_warning=True)
    said = context.session_id if context is not None else ""
    return hashlib.sha256(said.encode()).hexdigest()[:16] if said else ""
