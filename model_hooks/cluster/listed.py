"""What may be asked from another machine, and which values travel?

Only the functions of `names` are questions. What travels is read from what these functions say that
they take and return.
"""

import enum
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from model_hooks.cluster.names import NAMES
from model_hooks.errors import InlookError
from model_hooks.host import Question, Run, resolve
from model_hooks.run.interventions import intervention_kinds

LIVE = ("model", "trace", "other")
"""Parameters that the host gives, not whoever asks."""


@functools.cache
def questions() -> Mapping[str, Callable[..., Any]]:
    """Return the functions that may be asked for, by the names a host finds them by."""
    names = [f"model_hooks.{module}:{one}" for module, some in NAMES.items() for one in some]
    return MappingProxyType({name: resolve(name) for name in names})


@functools.cache
def records() -> Mapping[str, type]:
    """Return the classes that travel, by name: frozen dataclasses, named tuples and enums."""
    found: dict[str, type] = {}
    for kind in (Question, Run, *intervention_kinds().values()):
        _note(kind, found)
    for function in questions().values():
        for name, hint in hints_of(function).items():
            if name not in LIVE:
                _note(hint, found)
    return MappingProxyType(found)


@functools.cache
def errors() -> Mapping[str, type[InlookError]]:
    """Return the errors that travel, by name."""
    questions()  # whose modules have errors of their own
    return MappingProxyType({name_of_class(one): one for one in _kinds_of(InlookError)})


def name_of_class(kind: type) -> str:
    """Return the name under which a class travels."""
    return f"{kind.__module__.removeprefix('model_hooks.')}:{kind.__qualname__}"


@functools.cache
def hints_of(about: Callable[..., Any]) -> dict[str, Any]:
    """Return what the parameters of a function are, or the fields of a class, and `return`."""
    return get_type_hints(about)


@functools.cache
def fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of what makes a dataclass or a named tuple, in order."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.init)
    return tuple(getattr(kind, "_fields", ()))


def _kinds_of(kind: type[InlookError]) -> Iterator[type[InlookError]]:
    """Yield a kind of error and those below it; a page's own stay where they are."""
    if kind.__module__.startswith("model_hooks."):
        yield kind
        for one in kind.__subclasses__():
            yield from _kinds_of(one)


def _note(hint: Any, found: dict[str, type]) -> None:
    """Note the classes of this package that a type is made of, with those of their fields."""
    for inner in get_args(hint):
        _note(inner, found)
    kind = get_origin(hint) or hint
    if not isinstance(kind, type) or not kind.__module__.startswith("model_hooks."):
        return
    name = name_of_class(kind)
    is_record = fields_of(kind) or is_dataclass(kind) or issubclass(kind, enum.Enum)
    if name in found or not is_record:
        return
    found[name] = kind
    for inner in hints_of(kind).values():
        _note(inner, found)
