"""The one way to ask a model: kept answers, computed once for everybody who asks the same.

    lens_of = computed(read_lens, says="Reading every layer…")   # f(model, trace, start, stop)
    lens = lens_of(*run(), start, stop)        # model name, token IDs, interventions; then the key

    size_of = computed(count_parameters)                         # f(model)
    size = size_of("storyteller")

    apart_at = computed(apart)                                   # f(model, trace, other, pairs)
    found = apart_at(*run_a, *run_b, pairs)

Questions are functions of `model_hooks` (see `model_hooks.host`); keys and answers are plain
values. All kept answers share one budget of memory, and `forget` drops them all. A question reaches
a model at one place, `host`: `pages/ask/where.py` says whether that is in this process.
"""

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import streamlit as st
from cachetools import LRUCache, cached

from model_hooks.host import Answers, Question, Run, name_of, parameters_of
from model_hooks.opening.allowed import allow_only, limit_downloads
from pages.ask.admission import Admission
from pages.server.counters import gauge
from pages.server.settings import settings
from pages.server.turns import Turns

KEPT_BYTES = 80 * 2**20
"""What all kept answers may take."""
QUICK = 2e8
"""Parameters times tokens: about such a run nobody need be told to wait. To be ready to say so,
Streamlit starts a thread each time, which costs as much as many an answer."""
_SIZES: dict[str, int] = {}


turns = Turns(settings().at_once)
_host: Answers | None = None
_starting = threading.Lock()


def host() -> Answers:
    """Return where questions are answered: as the settings say, unless `set_host` did."""
    global _host
    with _starting:
        if _host is None:
            from pages.ask.where import answering

            allow_only(settings().models)
            if (most := settings().download_gb) is not None:
                limit_downloads(most * 1e9)
            _host = Admission(answering(), settings(), turns)
            gauge("inlook_queue", "Questions that wait for their turn.", lambda: turns.n_waiting)
            gauge("inlook_running", "Questions that have their turn.", lambda: turns.n_running)
            gauge("inlook_answers_bytes", "Memory of kept answers.", lambda: _KEPT.currsize)
        return _host


def set_host(other: Answers | None) -> None:
    """Answer questions elsewhere from now on, and forget what was answered; None begins anew."""
    global _host
    forget()
    _host = other


class Ask:
    """A question that can be asked; `computed` makes them.

    Called with a model's name, for a question about a run with its token IDs and interventions
    too, for one that compares with the same of the other run, and then with the key.
    """

    def __init__(self, function: Callable[..., Any], says: str | None, keep: bool) -> None:
        self._name, self._says, self._keep = name_of(function), says, keep
        self._about_run = "trace" in parameters_of(function)[:2]
        self._compares = "other" in parameters_of(function)[:3]
        functools.update_wrapper(self, function)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return the answer, the kept one where there is one."""
        question = self.question(given, named)
        if not self._keep:
            return host().answer(question)
        if self._says is None or question in _KEPT or is_quick(question.run):
            return _answer(question)
        with st.spinner(self._says):
            return _answer(question)

    def is_kept(self, *given: Any, **named: Any) -> bool:
        """Tell whether the answer is there, so that nobody has to wait for it."""
        return self.question(given, named) in _KEPT

    def question(self, given: tuple[Any, ...], named: dict[str, Any]) -> Question:
        """Return what is sent to the host."""
        run = Run(*given[:3]) if self._about_run else Run(given[0], ())
        key = given[3:] if self._about_run else given[1:]
        other = Run(*key[:3]) if self._compares else None
        key = key[3:] if self._compares else key
        return Question(self._name, run, key, tuple(sorted(named.items())), other)


class Watch:
    """A question whose answer grows before the visitor's eyes; `watched` makes them."""

    def __init__(self, function: Callable[..., Iterator[Any]]) -> None:
        self._ask = Ask(function, None, True)

    def __call__(self, *given: Any, on_value: Callable[[Any], None], **named: Any) -> Any:
        """Return the answer, the kept one where there is one.

        Args:
            *given: What is asked about, and the key.
            on_value: Called with each value on the way; an exception ends the work.
            **named: Arguments given by name.
        """
        question = self._ask.question(given, named)
        answer = _look_up(question)
        if answer is None:
            with closing(host().answer(question)) as values:
                for answer in values:
                    on_value(answer)
            _keep(question, answer)
        return answer

    def kept(self, *given: Any, **named: Any) -> Any | None:
        """Return the answer if it is there; None if it would have to be worked out."""
        return _look_up(self._ask.question(given, named))


def computed(function: Callable[..., Any], *, says: str | None = None, keep: bool = True) -> Ask:
    """Make a question of a function of `model_hooks`.

    `f(model, trace, *key)` and `f(trace, *key)` become `f(model_name, token_ids, interventions,
    *key)`; `f(model, *key)` becomes `f(model_name, *key)`.

    Args:
        function: A module-level function whose keys can be hashed and whose answer is a plain
            value.
        says: What a visitor reads while it is computed; nothing for what is quick.
        keep: Whether to keep the answer for the next one who asks.

    Raises:
        ValueError: A host could not find the function.
    """
    return Ask(function, says, keep)


def note_size(model_name: str, n_parameters: int) -> None:
    """Note how large a model is that has been opened."""
    _SIZES[model_name] = n_parameters


def is_quick(run: Run) -> bool:
    """Tell whether a run is over before anybody wonders."""
    size = _SIZES.get(run.model_name)
    return size is not None and size * max(1, len(run.token_ids)) <= QUICK


def streamed(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Make a question of a generator function: its plain values come one by one, none is kept."""
    return computed(function, keep=False)


def watched(function: Callable[..., Iterator[Any]]) -> Watch:
    """Make a question of a generator function whose last value is the answer, which is kept.

    A run that is cut off keeps nothing: it begins anew.
    """
    return Watch(function)


def forget() -> None:
    """Drop all kept answers."""
    _answer.cache_clear()


def n_bytes(value: Any) -> int:
    """Return about how much memory a plain value takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(n_bytes, value)) + sum(map(n_bytes, value.values()))
    if isinstance(value, tuple | list | set | frozenset):
        return sys.getsizeof(value) + sum(map(n_bytes, value))
    if is_dataclass(value):
        return sum(n_bytes(getattr(value, field.name)) for field in fields(value))
    return sys.getsizeof(value)


_KEPT: LRUCache = LRUCache(KEPT_BYTES, n_bytes)
_KEEPING = threading.Condition()


@cached(_KEPT, key=lambda question: question, condition=_KEEPING)
def _answer(question: Question) -> Any:
    return host().answer(question)


def _look_up(question: Question) -> Any | None:
    with _KEEPING:
        return _KEPT.get(question)


def _keep(question: Question, answer: Any) -> None:
    with _KEEPING, suppress(ValueError):  # it is larger than all that may be kept
        _KEPT[question] = answer
