"""What do single modules take and give in one run of one visitor?

Hooks that stay for the length of a `with`. A model is shared by many threads; only runs in this
context are noted, and no other run is changed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from torch import Tensor, nn

from model_hooks.parts.anatomy import hidden_states_of


class Call(NamedTuple):
    """One run of a module: its hidden states and its (first) output, None where it is no tensor."""

    input: Tensor | None
    output: Tensor | None


Calls = dict[nn.Module, list[Call]]

_listening: ContextVar[Calls | None] = ContextVar("listening", default=None)


@contextmanager
def calls_of(modules: Iterable[nn.Module], *, copied: bool = True) -> Iterator[Calls]:
    """Collect the calls of some modules made in this context.

    Args:
        modules: The modules; each may run several times.
        copied: Whether to copy the tensors, which the model may overwrite later. A copy is no part
            of the graph that gradients flow through.
    """
    calls: Calls = {module: [] for module in modules}

    # In another thread's run that was under way when the hooks went, keyword arguments are missing.
    def before(module: nn.Module, args: tuple, kwargs: dict | None = None) -> None:
        if _listening.get() is calls:
            calls[module].append(Call(_tensor(args, kwargs or {}, copied), None))

    def after(module: nn.Module, args: tuple, output: Any) -> None:
        if _listening.get() is calls:
            for i in reversed(range(len(calls[module]))):
                if calls[module][i].output is None:
                    output = _tensor((output,), {}, copied)
                    calls[module][i] = calls[module][i]._replace(output=output)
                    return

    handles = []
    token = _listening.set(calls)
    try:
        for module in calls:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        yield calls
    finally:
        _listening.reset(token)
        for handle in handles:
            handle.remove()


def _tensor(args: tuple, kwargs: dict, copied: bool) -> Tensor | None:
    value = hidden_states_of(args, kwargs)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    return value.detach().clone() if copied else value
