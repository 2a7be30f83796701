"""Answer questions about models by their names: who asks needs neither a model nor torch.

A question names a function of this package, a model and perhaps a text; keys and answers are plain
values, so that it makes no difference to the asker where the model lives:

    host = Host()
    host.answer(Question("model_hooks.read.lens:lens_at", Run("storyteller", (3, 1, 4)), (-1,)))

Models and traces are kept by the memory they take; losing one only costs time.
"""

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from cachetools import LRUCache, cached

from model_hooks.experiments import untrained
from model_hooks.model import HookedModel
from model_hooks.read.between import Other
from model_hooks.run.interventions import Intervention
from model_hooks.run.trace import PER_HEAD_FROM, Trace
from model_hooks.shelf import Shelf
from model_hooks.write.forwards import kept_bytes

TRACE_BYTES = 80 * 2**20


class Run(NamedTuple):
    """One forward pass that questions are asked about: a model, a text and what is switched off."""

    model_name: str
    token_ids: tuple[int, ...]
    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True)
class Question:
    """A function of `model_hooks`, what it is asked about, and its other arguments.

    The function's parameters tell what it is about: `f(model, trace, *key)` and `f(trace, *key)`
    about a run, `f(model, *key)` about a model; one that also takes `other` compares two runs.
    """

    function: str
    """Such as `model_hooks.read.lens:read_lens`."""
    run: Run
    """With no token IDs for a question about the model itself."""
    key: tuple[Hashable, ...] = ()
    named: tuple[tuple[str, Hashable], ...] = ()
    """Arguments given by name, sorted."""
    other: Run | None = None
    """The run that the first one is compared with, where the function takes one."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """Whatever it is asked about: one run, or two."""
        return (self.run,) if self.other is None else (self.run, self.other)


def name_of(function: Callable[..., Any]) -> str:
    """Return the name under which a function can be asked for.

    Raises:
        ValueError: It is no module-level function of `model_hooks` that begins with a model or a
            trace: a host could not find it.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if not function.__module__.startswith("model_hooks.") or "." in function.__qualname__:
        raise ValueError(f"{name} is no function of model_hooks that a host can find")
    if parameters_of(function)[:1] not in (("model",), ("trace",)):
        raise ValueError(f"{name} takes neither a model nor a trace first")
    return name


def resolve(name: str) -> Callable[..., Any]:
    """Return the function of a name.

    Raises:
        ValueError: It is no function that may be asked for.
    """
    module, _, function = name.partition(":")
    if not module.startswith("model_hooks."):
        raise ValueError(f"{name} is no function of model_hooks")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name} is no function of model_hooks") from error
    if not callable(found) or isinstance(found, type):
        raise ValueError(f"{name} is no function of model_hooks")
    name_of(found)
    return found


@functools.cache
def parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return tuple(inspect.signature(function).parameters)


@runtime_checkable
class Answers(Protocol):
    """Where questions are answered."""

    def answer(self, question: Question) -> Any:
        """Return a plain value, or an iterator over them."""
        ...


class Sizes(NamedTuple):
    """Bytes that a host keeps."""

    models: int
    traces: int
    written: int
    """Runs and KV caches from which texts are written on."""


class Host:
    """Models and traces in this process, and answers from them.

    Safe to use from many threads: what two ask for at once is loaded and computed once.

    Args:
        open_model: Loads a model by its name.
        model_bytes: What all weights together may take; the newest model stays in any case. By
            default a share of the memory of this machine or container.
        trace_bytes: What all traces together may take.
        n_threads: Threads per forward pass, at least 1; None leaves torch's own setting.
    """

    def __init__(
        self,
        open_model: Callable[[str], HookedModel] = untrained.open_model,
        model_bytes: int | None = None,
        trace_bytes: int = TRACE_BYTES,
        n_threads: int | None = None,
    ) -> None:
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        self._models = Shelf(open_model, model_bytes)
        self._traces: LRUCache[Any, Trace] = LRUCache(
            trace_bytes, lambda trace: min(bytes_of(trace), trace_bytes)
        )

        def run(asked: Run) -> Trace:
            return self.model(asked.model_name).trace(asked.token_ids, asked.interventions)

        self._kept_trace = cached(self._traces, condition=threading.Condition())(run)

    def model(self, name: str) -> HookedModel:
        """Return a model, loaded if need be.

        Raises:
            InlookError: It cannot be loaded; the message says why.
        """
        return self._models.get(name)

    def trace(self, run: Run) -> Trace:
        """Return the trace of a run.

        Raises:
            InlookError: The model, the text or what is to be switched off cannot be run.
        """
        return self._kept_trace(run)

    def answer(self, question: Question) -> Any:
        """Return a plain value; a generator function's answer is an iterator over them.

        Raises:
            InlookError: There is no answer; the message says why.
        """
        with self._used(question):
            answer = self._answer(question)
        return self._while_used(question, answer) if hasattr(answer, "__next__") else answer

    def _answer(self, question: Question) -> Any:
        function, given = resolve(question.function), []
        parameters = parameters_of(function)
        if "model" in parameters[:1]:
            given.append(self.model(question.run.model_name))
        if "trace" in parameters[:2]:
            given.append(self.trace(question.run))
        if question.other is not None:
            other = question.other
            given.append(Other(self.model(other.model_name), self.trace(other)))
        return function(*given, *question.key, **dict(question.named))

    def _while_used(self, question: Question, values: Iterator[Any]) -> Iterator[Any]:
        with self._used(question):
            yield from values

    @contextmanager
    def _used(self, question: Question) -> Iterator[None]:
        """Keep the models that a question is about for as long as this lasts."""
        with ExitStack() as kept:
            for run in question.runs:
                kept.enter_context(self._models.used(run.model_name))
            yield

    def forget(self) -> None:
        """Drop every model and trace."""
        self._models.clear()
        self._kept_trace.cache_clear()

    def sizes(self) -> Sizes:
        """Return how much memory is taken."""
        return Sizes(self._models.n_bytes, int(self._traces.currsize), kept_bytes())

    def names(self) -> Iterator[str]:
        """Yield the names of the models that are loaded."""
        return iter(self._models)


def bytes_of(trace: Trace) -> int:
    """Return what a trace takes, with the attention weights that it will keep once looked at."""
    recorded = 0
    for layer in trace.layers:
        arrays = (layer.query, layer.key, layer.value, layer.resid_pre, layer.attn_out)
        arrays += (layer.mlp_out, layer.resid_post)
        recorded += sum(array.nbytes for array in arrays if array is not None)
    looked_at = len(trace) ** 2 if len(trace) < PER_HEAD_FROM else 0
    return recorded + 4 * len(trace.attention_layers) * trace.n_heads * looked_at
