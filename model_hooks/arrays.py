"""How do tensors leave the model as read-only arrays, and logits become probabilities?"""

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


def check_index(what: str, index: int, count: int, error: type[Exception]) -> int:
    """Return a possibly negative index as a plain one, or raise `error` with both numbers."""
    if not -count <= index < count:
        raise error(f"There is no {what} {index}: this model's run from 0 to {count - 1}.")
    return index % count


def has_few_digits(dtype: torch.dtype | str) -> bool:
    """Whether numbers of this type hold fewer digits than float32: results agree less well."""
    return str(dtype).removeprefix("torch.") not in ("float32", "float64")
