"""Where are the models that this server asks: in this process, or on a cluster?

`INLOOK_MODELS` says it (`pages/server/settings.py`); nobody who asks notices.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from streamlit.runtime.scriptrunner import get_script_run_ctx

from model_hooks.cluster.asking import Loopback
from model_hooks.cluster.client import Client
from model_hooks.cluster.places import LOOPBACK, TOKEN
from model_hooks.host import Answers, Host, Question
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


class Far:
    """Answers from a cluster, with a line that says how many come before while one waits."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def answer(self, question: Question) -> Any:
        """Return the cluster's answer.

        Raises:
            AwayError: It gives none.
            InlookError: There is no answer; the message says why.
        """
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
