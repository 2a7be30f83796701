"""What does each neuron of a feedforward add to the stream, and which tokens does it push?

A feedforward works on each position alone: its neurons are keys that the position's vector is
compared with, and values that are added to it ("Transformer Feed-Forward Layers Are Key-Value
Memories", Geva et al. 2021; "... Build Predictions by Promoting Concepts in the Vocabulary Space",
Geva et al. 2022).
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from model_hooks.arrays import check_count, check_index, read_only
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.anatomy import BlockAnatomy
from model_hooks.parts.norms import is_plain_norm
from model_hooks.read.attribution import direct_effects, token_direction
from model_hooks.read.norms import norm_steps
from model_hooks.run.neurons import NeuronTrace, how_added, neurons_sum
from model_hooks.run.trace import Trace
from model_hooks.write.stores import BoundedStore

AT_ONCE = 2048
"""Neurons whose vectors are held in memory together."""
KEPT_BYTES = 24 * 2**20
MOST_POINTS = 10**5
"""Of a curve."""


def neurons_of(model: HookedModel, trace: Trace, layer: int) -> NeuronTrace:
    """Return the hidden layer of one feedforward in a run; reading it runs the text once more.

    Raises:
        LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
    """
    key = weakref.ref(trace), layer
    if (kept := _kept.get(key)) is not None:
        return kept
    neurons = model.neurons(trace, layer)
    _kept.put(key, neurons)
    return neurons


def _nbytes(neurons: NeuronTrace) -> int:
    arrays = (neurons.activation, neurons.pre_activation, neurons.activated, neurons.output_rows)
    return sum(array.nbytes for array in arrays if array is not None)


_kept: BoundedStore[NeuronTrace] = BoundedStore(KEPT_BYTES, _nbytes)
"""By the trace, as long as it lives, and the layer."""


def neuron_writes(
    model: HookedModel,
    trace: Trace,
    layer: int,
    pos: int = -1,
    which: Sequence[int] | slice = slice(None),
) -> Float[np.ndarray, "neuron d_model"]:
    """Return what each neuron adds to the residual stream at one position.

    Its activation times its output row. Where a norm follows (on the feedforward's output, as in
    Gemma 2, or on the sum, as in the Transformer of 2017), it is taken at the scale that it has
    here, which makes it linear. The rows then sum to what the feedforward adds, but for biases.

    Args:
        model: The model.
        trace: A trace of that model.
        layer: The layer.
        pos: The position.
        which: Some neurons only, in this order.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    neurons = neurons_of(model, trace, layer)
    if not isinstance(which, slice):
        n_neurons = neurons.activation.shape[1]
        which = [check_index("neuron", one, n_neurons, LayerError) for one in which]
    activation = neurons.activation[pos, which, None].astype(np.float64)
    rows = activation * neurons.output_rows[which]
    return _to_stream(model, trace, neurons, rows, pos)


def bias_write(
    model: HookedModel, trace: Trace, layer: int, pos: int = -1
) -> Float[np.ndarray, "d_model"] | None:
    """Return what the bias of the down projection adds to the stream; None without one.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    neurons = neurons_of(model, trace, layer)
    if neurons.bias is None:
        return None
    return _to_stream(model, trace, neurons, neurons.bias[None].astype(np.float64), pos)[0]


def feedforward_write(
    model: HookedModel, trace: Trace, layer: int, pos: int = -1
) -> Float[np.ndarray, "d_model"]:
    """Return what a whole feedforward adds to the stream that leaves its block.

    It is `mlp_out`, but for a block that normalises the sum: there, its share of what comes out.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the feedforward and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    recorded = trace.layer_at(layer)
    added = recorded.mlp_out[pos].astype(np.float64)
    mid = recorded.resid_mid[pos]
    return _through_sum(model.anatomy.blocks[layer], mid, recorded.mlp_out[pos], added[None])[0]


@dataclass(frozen=True, eq=False)
class NeuronEffects:
    """What each neuron of a layer does at one position."""

    sizes: Float[np.ndarray, "neuron"]
    """Length of the vector that it adds to the residual stream."""
    effects: Float[np.ndarray, "neuron"]
    """What it adds to one token's logit right after the layer."""
    bias: float
    """What the bias of the down projection adds to that logit."""
    whole: float
    """What the whole feedforward adds, sent through the model's own tail: the neurons and the bias
    sum to it wherever the tail is a norm and a linear layer."""

    @property
    def total(self) -> float:
        """The sum of all neurons and the bias."""
        return float(self.effects.sum() + self.bias)


def neuron_effects(
    model: HookedModel, trace: Trace, layer: int, token_id: int, pos: int = -1
) -> NeuronEffects:
    """Measure every neuron of a layer at one position, by itself and by one token's logit.

    The logit is the lens's right after that layer: through final norm and LM head, with the scale
    that the final norm has for the stream there. Unlike the probability, it is a sum of parts.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    after = trace.layer_output(layer)[pos]
    direction = token_direction(model, after, token_id)
    n_neurons = len(neurons_of(model, trace, layer).output_rows)
    sizes, effects = [], []
    for begin in range(0, n_neurons, AT_ONCE):
        writes = neuron_writes(model, trace, layer, pos, slice(begin, begin + AT_ONCE))
        sizes.append(np.linalg.norm(writes, axis=-1))
        effects.append(writes @ direction)
    bias = bias_write(model, trace, layer, pos)
    whole = feedforward_write(model, trace, layer, pos)
    return NeuronEffects(
        sizes=read_only(np.concatenate(sizes)),
        effects=read_only(np.concatenate(effects)),
        bias=0.0 if bias is None else float(bias @ direction),
        whole=float(direct_effects(model, whole[None], after, [token_id])[0, 0]),
    )


class Pushes(NamedTuple):
    """The tokens that a neuron promotes most, then those that it suppresses most."""

    token_ids: tuple[int, ...]
    effects: Float[np.ndarray, "token"]
    """What it adds to the logit of each, right after its layer."""


def pushed_tokens(
    model: HookedModel,
    trace: Trace,
    layer: int,
    which: tuple[int, ...],
    n_tokens: int,
    pos: int = -1,
) -> tuple[Pushes, ...]:
    """Return which tokens some neurons promote and which they suppress, right after their layer.

    Args:
        model: The model.
        trace: A trace of that model.
        layer: The layer.
        which: The neurons.
        n_tokens: How many tokens each way; fewer where the vocabulary is small.
        pos: The position.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    n_tokens = check_count("n_tokens", n_tokens, PromptError)
    writes = neuron_writes(model, trace, layer, pos, which)
    return tuple(
        _strongest_pushes(row, n_tokens)
        for row in promoted_tokens(model, trace, layer, writes, pos)
    )


def _strongest_pushes(effects: Float[np.ndarray, "vocab"], n_tokens: int) -> Pushes:
    n_tokens = min(n_tokens, len(effects) // 2)
    order = np.argsort(-effects, kind="stable")
    ids = np.concatenate([order[:n_tokens], order[len(order) - n_tokens :]])
    return Pushes(tuple(ids.tolist()), read_only(effects[ids]))


class Curve(NamedTuple):
    """What the activation function makes of numbers."""

    inputs: Float[np.ndarray, "point"]
    outputs: Float[np.ndarray, "point"]


def activation_curve(
    model: HookedModel, trace: Trace, layer: int, n_points: int, pos: int = -1
) -> Curve | None:
    """Ask the model's own activation function for its curve around the inputs of one position.

    Returns:
        None where it is no module of its own, so that it cannot be asked.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    n_points = check_count("n_points", n_points, PromptError, 2, MOST_POINTS)
    inputs = neurons_of(model, trace, layer).pre_activation
    if inputs is None:
        return None
    low, high = float(inputs[pos].min()), float(inputs[pos].max())
    reach = 1.05 * max(-low, high, 1.0)
    points = np.linspace(max(-reach, low * 1.2 - 1), min(reach, high * 1.2 + 1), n_points)
    outputs = model.activation_function(layer, points.astype(np.float32))
    return None if outputs is None else Curve(read_only(points), outputs)


def promoted_tokens(
    model: HookedModel,
    trace: Trace,
    layer: int,
    writes: Float[np.ndarray, "part d_model"],
    pos: int = -1,
) -> Float[np.ndarray, "part vocab"]:
    """Return what vectors in the stream add to every logit, right after a layer.

    The model's own final norm and LM head do the work. With `neuron_writes`, it tells which tokens
    a neuron promotes and which it suppresses (Geva et al. 2022, section 3).
    """
    pos = check_index("position", pos, len(trace), PromptError)
    after = trace.layer_output(layer)[pos]
    return direct_effects(model, writes, after, range(model.info.vocab_size))


def _to_stream(
    model: HookedModel,
    trace: Trace,
    neurons: NeuronTrace,
    rows: Float[np.ndarray, "part d_model"],
    pos: int,
) -> Float[np.ndarray, "part d_model"]:
    """Turn parts of what the down projection gives into parts of the stream."""
    block, recorded = model.anatomy.blocks[neurons.layer], trace.layers[neurons.layer]
    total = neurons_sum(neurons, [pos])
    addition = how_added(total, recorded.mlp_out[[pos]], block)
    if addition is None:
        raise LayerError(f"What the neurons of layer {neurons.layer} add cannot be told apart.")
    rows = rows * addition.scale
    if addition.norm is not None:
        rows = _held(addition.norm, total[0], rows)
    return _through_sum(block, recorded.resid_mid[pos], recorded.mlp_out[pos], rows)


def _through_sum(
    block: BlockAnatomy,
    mid: Float[np.ndarray, "d_model"],
    mlp_out: Float[np.ndarray, "d_model"],
    rows: Float[np.ndarray, "part d_model"],
) -> Float[np.ndarray, "part d_model"]:
    """Send parts of the sum through the norm that a post-norm block puts on it."""
    if block.wiring != "post":
        return rows
    norms = [module for module in block.module.modules() if is_plain_norm(module)]
    if not norms:
        raise LayerError(f"{block.path} normalises its sum in a way that Inlook cannot follow.")
    return _held(norms[-1], mid + mlp_out, rows)


def _held(
    norm: torch.nn.Module,
    vector: Float[np.ndarray, "d_model"],
    parts: Float[np.ndarray, "part d_model"],
) -> Float[np.ndarray, "part d_model"]:
    """Send parts of a vector through a norm that divides as it does for the whole vector."""
    steps = norm_steps(norm, vector)
    centred = parts - parts.mean(-1, keepdims=True) if steps.kind == "LayerNorm" else parts
    divided = centred / (steps.divisor or 1.0)
    return divided if steps.weight is None else divided * steps.weight


def strongest(values: Float[np.ndarray, "neuron"], count: int) -> list[int]:
    """Return the neurons with the largest absolute values, the largest first."""
    return np.argsort(-np.abs(values), kind="stable")[:count].tolist()
