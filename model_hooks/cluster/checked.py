"""Is a value of the type that a function or a class says it takes?"""

import inspect
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from model_hooks.cluster.listed import LIVE

NUMBERS = {float: (float, int, np.floating, np.integer), int: (int, np.integer)}


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a value is of a type, down to the last element.

    Args:
        value: A plain value.
        hint: As `get_type_hints` returns it: of built-in types, literals, unions, containers and
            classes.

    Raises:
        TypeError: Nobody knows what the hint means.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or hint is Hashable:
        return True
    if hint is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is not None:
        return _holds(value, origin, inner)
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    if isinstance(hint, type):
        return isinstance(value, hint)
    raise TypeError(f"nobody knows what {hint} means")


def _holds(value: Any, kind: Any, inner: tuple[Any, ...]) -> bool:
    if kind is tuple and inner[-1:] != (...,):
        right = isinstance(value, tuple) and len(value) == len(inner)
        return right and all(map(fits, value, inner))
    if kind is Sequence:
        return isinstance(value, tuple | list) and all(fits(one, inner[0]) for one in value)
    if kind in (tuple, list, frozenset, set):
        return isinstance(value, kind) and all(fits(one, inner[0]) for one in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and all(
            fits(key, inner[0]) and fits(one, inner[1]) for key, one in value.items()
        )
    raise TypeError(f"nobody knows what {kind} means")


def misfit(
    function: Callable[..., Any], hints: Mapping[str, Any], given: tuple, named: Mapping[str, Any]
) -> str | None:
    """Return the name of the first argument that a function does not take; None where all fit.

    Args:
        function: What is to be called.
        hints: The types of its parameters, by name.
        given: The arguments that follow the live ones, which the host gives.
        named: Arguments by name.
    """
    live = [None for name in inspect.signature(function).parameters if name in LIVE]
    try:
        bound = inspect.signature(function).bind(*live, *given, **named)
    except TypeError as error:
        return str(error)
    arguments = bound.arguments.items()
    told = [(name, value) for name, value in arguments if name not in LIVE]
    return next((name for name, value in told if not fits(value, hints[name])), None)
