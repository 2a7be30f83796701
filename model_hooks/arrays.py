"""How do tensors leave the model as read-only arrays, and logits become probabilities?"""

import reprlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the same array, closed for writing: what is shared may not change."""
    array.setflags(write=False)
    return array


def to_array(tensor: Tensor) -> Float[np.ndarray, "..."]:
    """Hand a tensor out as a read-only NumPy array, float32 where NumPy lacks the type."""
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    return read_only(tensor.detach().cpu().numpy())


def softmax(logits: Float[np.ndarray, "*row vocab"]) -> Float[np.ndarray, "*row vocab"]:
    """Return the probabilities of logits along the last axis, in float64; each row sums to one."""
    return read_only(torch.softmax(torch.tensor(logits, dtype=torch.float64), -1).numpy())


def log_softmax(logits: Float[np.ndarray, "*row vocab"]) -> Float[np.ndarray, "*row vocab"]:
    """Return the natural log-probabilities of logits along the last axis, in float64."""
    given = torch.tensor(logits, dtype=torch.float64)
    return read_only(torch.log_softmax(given, -1).numpy())


def check_index(what: str, index: Any, count: int, error: type[Exception]) -> int:
    """Return a possibly negative index as a plain one, or raise `error` with both numbers."""
    plain = as_whole(index)
    if plain is None or not -count <= plain < count:
        raise error(
            f"There is no {what} {reprlib.repr(index)}: this model's run from 0 to {count - 1}."
        )
    return plain % count


def check_count(
    what: str, count: Any, error: type[Exception], least: int = 0, most: int | None = None
) -> int:
    """Return how many of something are asked for as a plain number, or raise `error`."""
    plain = as_whole(count)
    if plain is None or plain < least or (most is not None and plain > most):
        up_to = "" if most is None else f" to {most:,}"
        raise error(
            f"{what} must be a whole number from {least}{up_to}, not {reprlib.repr(count)}."
        )
    return plain


def check_array(what: str, values: Any, n_dims: int, error: type[Exception]) -> np.ndarray:
    """Return numbers as an array of so many dimensions, or raise `error`."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "fiu" or array.ndim != n_dims:
        raise error(
            f"{what} must be an array of numbers with {n_dims} dimensions, not "
            f"{reprlib.repr(values)}."
        )
    return array


def check_real(what: str, value: Any, error: type[Exception], least: float, most: float) -> float:
    """Return a number from `least` to `most` as a plain one, or raise `error`."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise error(f"{what} must be a number from {least:g} to {most:g}, not {value!r:.40}.")
    return float(value)


def check_switch(what: str, value: Any, error: type[Exception]) -> bool:
    """Return whether something is on, or raise `error` for what says neither."""
    if not isinstance(value, bool | np.bool_):
        raise error(f"{what} must be True or False, not {reprlib.repr(value)}.")
    return bool(value)


def as_whole(value: Any) -> int | None:
    """Return a whole number of Python's or NumPy's as Python's; None for anything else."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return int(value) if is_whole else None


def has_few_digits(dtype: torch.dtype | str) -> bool:
    """Whether numbers of this type hold fewer digits than float32: results agree less well."""
    return str(dtype).removeprefix("torch.") not in ("float32", "float64")
