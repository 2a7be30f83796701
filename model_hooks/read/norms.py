"""What does a norm do to a vector? Followed step by step, and timed.

LayerNorm subtracts a vector's mean and divides by its standard deviation (Ba, Kiros and Hinton
2016, "Layer Normalization", equation 4); RMSNorm divides by the root of the mean square and leaves
the mean in (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", equation 4).
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from model_hooks.arrays import check_count, check_index, to_array
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.probing import calls_of
from model_hooks.run.trace import Trace

MOST_VECTORS = 10**5
"""That are timed at once."""


@dataclass(frozen=True, eq=False)
class NormSteps:
    """One norm on one vector: every intermediate result, and what the module itself gave."""

    kind: Literal["LayerNorm", "RMSNorm"]
    vector: Float[np.ndarray, "d_model"]
    mean: float
    centred: Float[np.ndarray, "d_model"]
    """The vector minus its mean; with RMSNorm, which subtracts nothing, the vector itself."""
    mean_square: float
    """Of the centred vector: with LayerNorm, the variance."""
    eps: float
    """Added before the root, so that nothing is divided by zero."""
    divisor: float
    """The root: with LayerNorm, the standard deviation."""
    normalised: Float[np.ndarray, "d_model"]
    weight: Float[np.ndarray, "d_model"] | None
    """What each number is multiplied by, as the module uses it; None if it has no weight."""
    weight_is_offset: bool
    """Whether the module stores w and multiplies by 1 + w (Gemma)."""
    bias: Float[np.ndarray, "d_model"] | None
    output: Float[np.ndarray, "d_model"]
    module_output: Float[np.ndarray, "d_model"] | None
    """What the module itself computed; None where the other kind of norm was tried on a vector."""

    @property
    def difference(self) -> float:
        """The largest difference between the steps' output and the module's own."""
        if self.module_output is None:
            return 0.0
        return float(np.abs(self.output - self.module_output).max())


@torch.inference_mode()
def norm_steps(
    module: nn.Module,
    vector: Float[np.ndarray, "d_model"],
    output: Float[np.ndarray, "d_model"] | None = None,
) -> NormSteps:
    """Compute a norm step by step in float64 and compare it with the module's own output.

    Args:
        module: The norm.
        vector: What it reads.
        output: What it gave; the module is run on the vector if that is not at hand.

    Raises:
        LayerError: The module computes something else.
    """
    parameters = dict(module.named_parameters(recurse=False))
    reference = next(iter(parameters.values()), torch.zeros(1))
    given = torch.tensor(vector, dtype=reference.dtype, device=reference.device)
    own = to_array(module(given[None, None])[0, 0]) if output is None else output
    x = to_array(given).astype(np.float64)
    vectors = {name: to_array(p) for name, p in parameters.items() if p.shape == given.shape}
    bias = vectors.pop("bias", None)
    weight = next(iter(vectors.values()), None)
    tolerance = 1e-4 if reference.dtype in (torch.float32, torch.float64) else 3e-2
    tried = [
        _steps(kind, x, eps, weight, offset, bias, own)
        for offset in (False, True)
        for kind in ("LayerNorm", "RMSNorm")
        for eps in _eps(module)
    ]
    best = min(tried, key=lambda steps: steps.difference)
    if best.difference <= tolerance * max(1.0, float(np.abs(own).max())):
        return best
    raise LayerError(
        f"{type(module).__name__} is neither LayerNorm nor RMSNorm as they were published, so its "
        "steps are not shown."
    )


def other_norm(steps: NormSteps) -> NormSteps:
    """Return the other kind of norm on the same vector, with the same weight and eps.

    No model computed this one: it shows what the choice between the two changes.
    """
    kind = "RMSNorm" if steps.kind == "LayerNorm" else "LayerNorm"
    x = steps.vector.astype(np.float64)
    # `steps.weight` is what was multiplied by, the 1 included.
    other = _steps(kind, x, steps.eps, steps.weight, False, steps.bias, None)
    return replace(other, weight_is_offset=steps.weight_is_offset)


def _steps(
    kind: Literal["LayerNorm", "RMSNorm"],
    x: np.ndarray,
    eps: float,
    weight: np.ndarray | None,
    offset: bool,
    bias: np.ndarray | None,
    own: np.ndarray | None,
) -> NormSteps:
    used = weight + 1.0 if weight is not None and offset else weight
    mean = float(x.mean())
    centred = x - mean if kind == "LayerNorm" else x
    mean_square = float((centred**2).mean())
    divisor = float(np.sqrt(mean_square + eps))
    normalised = centred / divisor if divisor else centred
    output = normalised if used is None else normalised * used
    output = output if bias is None else output + bias
    return NormSteps(
        kind=kind,
        vector=x,
        mean=mean,
        centred=centred,
        mean_square=mean_square,
        eps=eps,
        divisor=divisor,
        normalised=normalised,
        weight=used,
        weight_is_offset=weight is not None and offset,
        bias=bias,
        output=output,
        module_output=own,
    )


def _eps(module: nn.Module) -> tuple[float, ...]:
    """The module's eps; the usual ones where it keeps it to itself (OLMo)."""
    for name, value in vars(module).items():
        if "eps" in name.lower() and isinstance(value, float):
            return (value,)
    return (1e-5, 1e-6, 1e-8, 0.0)


def norm_calls(
    model: HookedModel, trace: Trace, module: nn.Module
) -> tuple[Float[np.ndarray, "pos d_model"], Float[np.ndarray, "pos d_model"]]:
    """Return what a norm read and gave at every position, by running a trace's text once more.

    Raises:
        LayerError: The norm did not run on one vector per position.
    """
    with calls_of([module]) as calls:
        model.run_again(trace)
    for taken, given in calls[module]:
        if taken is not None and given is not None and taken.numel() == given.numel():
            rows = [tensor.reshape(-1, tensor.shape[-1]) for tensor in (taken, given)]
            if len(rows[0]) == len(trace):
                return to_array(rows[0]), to_array(rows[1])
    raise LayerError("This norm does not read one vector per token, so its steps are not shown.")


class NormAt(NamedTuple):
    """A norm of a model on one vector of a run, and what the other kind makes of the same."""

    steps: NormSteps
    other: NormSteps


def norm_at(model: HookedModel, trace: Trace, path: str, pos: int) -> NormAt:
    """Follow a norm of a model step by step at one position, by running the text once more.

    Args:
        model: The model.
        trace: A trace of that model.
        path: The norm's module path.
        pos: The position.

    Raises:
        LayerError: There is no such module, it computes something else, or it did not run on one
            vector per position.
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    try:
        module = model.model.get_submodule(path)
    except AttributeError as error:
        raise LayerError(f"This model has no module {path}.") from error
    taken, given = norm_calls(model, trace, module)
    steps = norm_steps(module, taken[pos], given[pos])
    return NormAt(steps, other_norm(steps))


class MeanShare(NamedTuple):
    """How much of a vector its mean is: all that LayerNorm and RMSNorm disagree about."""

    size: float
    mean: float
    share: float
    """Length of the part that LayerNorm subtracts, in parts of the vector's length."""


def mean_share(vector: Float[np.ndarray, "d_model"]) -> MeanShare:
    """Measure how much of a vector its mean is."""
    exact = vector.astype(np.float64)
    size, mean = float(np.linalg.norm(exact)), float(exact.mean())
    return MeanShare(size, mean, abs(mean) * len(exact) ** 0.5 / (size or 1.0))


def norm_operations(kind: Literal["LayerNorm", "RMSNorm"], bias: bool = True) -> int:
    """Return the additions and multiplications per number of the vector.

    RMSNorm squares, sums, divides and weights; LayerNorm sums for the mean and subtracts it first,
    and adds a bias where it has one. The few operations on single numbers (root, division of the
    sums) are left out.
    """
    return 4 if kind == "RMSNorm" else 7 if bias else 6


@dataclass(frozen=True)
class NormTimes:
    """Median seconds of the norms on one matrix, on this computer."""

    layer_norm: float
    """Written out as separate tensor operations."""
    rms_norm: float
    fused_layer_norm: float
    """torch's own function."""
    fused_rms_norm: float


@torch.inference_mode()
def time_norms(vectors: Float[np.ndarray, "pos d_model"], repeats: int = 40) -> NormTimes:
    """Time both norms on the same vectors in float32, in turns, so that both see the same load."""
    x = torch.tensor(vectors, dtype=torch.float32)
    width = x.shape[-1]
    weight, bias = torch.ones(width), torch.zeros(width)

    def layer_norm() -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-5)
        return centred * scale * weight + bias

    def rms_norm() -> Tensor:
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weight

    runs: dict[str, Callable[[], Tensor]] = {
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        "fused_layer_norm": lambda: F.layer_norm(x, (width,), weight, bias),
        "fused_rms_norm": lambda: F.rms_norm(x, (width,), weight, 1e-5),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return NormTimes(**{name: statistics.median(times) for name, times in seconds.items()})


def norm_times(model: HookedModel, n_vectors: int) -> NormTimes:
    """Time both norms on random vectors as wide as a model's: what they hold makes no difference.

    Args:
        model: The model, of which only the width is used.
        n_vectors: How many vectors are normalised at once.

    Raises:
        PromptError: There is none, or too many.
    """
    n_vectors = check_count("n_vectors", n_vectors, PromptError, 1, MOST_VECTORS)
    random = np.random.default_rng(0)
    return time_norms(random.normal(size=(n_vectors, model.info.d_model)).astype(np.float32))
