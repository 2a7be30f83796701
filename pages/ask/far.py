"""How does a page put its questions to a cluster, in few calls, and say what it waits for?"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from cachetools import LRUCache, TTLCache
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model_hooks.cluster.asking import OnWait
from model_hooks.host import Question, name_of
from model_hooks.read.recorded import each_token, info_of
from pages.ask.queue_line import QueueLine
from pages.server.visitors import leave_if_gone

BLOCK = 4096
"""So many tokens of a vocabulary are fetched at once: pages ask for their texts one by one."""
HIGHEST = 2**20
"""Above which no vocabulary has a token."""
NAMED_MODELS = 8
"""Models whose tokens' texts are kept."""
EACH_TOKEN = name_of(each_token)
FACTS = name_of(info_of)
"""What each part of a page asks first, so that its model is there: here the cluster sees to it."""
FACTS_S = 2.0
"""After which it is found out again whether the cluster is there."""


@runtime_checkable
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
        self._texts_of: LRUCache[str, dict[int, str]] = LRUCache(NAMED_MODELS)
        self._lock = threading.Lock()

    def answer(self, question: Question) -> Any:
        """Return the cluster's answer.

        Raises:
            AwayError: It gives none.
            InlookError: There is no answer; the message says why.
        """
        if question.function == EACH_TOKEN and _are_ids(question.key):
            return self._texts(question)
        if question.function != FACTS:
            return self._asked(question)
        with self._lock:
            facts = self._facts.get(question)
        if facts is None:
            facts = self._asked(question)
            with self._lock:
                self._facts[question] = facts
        return facts

    def _texts(self, question: Question) -> tuple[str, ...]:
        """Return the text of each token, of which each stands for itself."""
        token_ids = cast("Sequence[int]", question.key[0])
        with self._lock:
            known = self._texts_of.setdefault(question.run.model_name, {})
        blocks = sorted({one // BLOCK for one in token_ids if one not in known})
        if blocks:
            ids = tuple(i for block in blocks for i in range(block * BLOCK, (block + 1) * BLOCK))
            known.update(zip(ids, self._asked(replace(question, key=(ids,))), strict=True))
        return tuple(known[one] for one in token_ids)

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


def _are_ids(key: tuple[Any, ...]) -> bool:
    return len(key) == 1 and all(isinstance(one, int) and 0 <= one < HIGHEST for one in key[0])
