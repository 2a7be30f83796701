"""What a feedforward does to the model's guess: before and after it, without it, neuron by neuron.

A feedforward works on each position alone: its neurons are keys that the position's vector is
compared with, and values that are added to it ("Transformer Feed-Forward Layers Are Key-Value
Memories", Geva et al. 2021; "... Build Predictions by Promoting Concepts in the Vocabulary Space",
Geva et al. 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.anatomy import BlockAnatomy
from model_hooks.parts.norms import is_plain_norm
from model_hooks.read.attribution import direct_effects, token_direction
from model_hooks.read.lens import ranks_of, rows_at_once
from model_hooks.read.norms import norm_steps
from model_hooks.run.interventions import AblateMLP
from model_hooks.run.neurons import NeuronTrace, how_added, neurons_sum
from model_hooks.run.trace import Trace, check_index

AT_ONCE = 2048
"""Neurons whose vectors are held in memory together."""


@dataclass(frozen=True, eq=False)
class FeedforwardLens:
    """One token through the logit lens, right before and right after each layer's feedforward.

    NaN in layers that have no feedforward.
    """

    layers: tuple[int, ...]
    """The layers that have one."""
    logits: Float[np.ndarray, "layer side"]
    """Column 0 is before, column 1 after."""
    probabilities: Float[np.ndarray, "layer side"]
    ranks: Int[np.ndarray, "layer side"]
    """From 1; equal logits rank by token ID."""


def feedforward_layers(model: HookedModel) -> tuple[int, ...]:
    """Return the layers that have a feedforward; a hybrid model may have others too."""
    blocks = enumerate(model.anatomy.blocks)
    return tuple(layer for layer, block in blocks if block.parts != ("attention",))


def feedforward_lens(
    model: HookedModel, trace: Trace, token_id: int, pos: int = -1
) -> FeedforwardLens:
    """Follow one token's logit, probability and rank across every feedforward.

    Before it, the stream holds what attention added. Blocks that run both in parallel never hold
    that state; it is the sum of what came in and what attention gives.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    layers = feedforward_layers(model)
    states = np.stack(
        [
            side[pos]
            for layer in layers
            for side in (trace.layers[layer].resid_mid, trace.layers[layer].resid_post)
        ]
    )
    shape = (trace.n_layers, 2)
    logits, probabilities = np.full(shape, np.nan), np.full(shape, np.nan)
    ranks = np.zeros(shape, np.int64)
    places = [(layer, side) for layer in layers for side in (0, 1)]
    step = rows_at_once(model)
    for begin in range(0, len(states), step):
        rows = model.logits_of(states[begin : begin + step])
        normalisers = torch.logsumexp(torch.tensor(rows).double(), -1).numpy()
        for row, normaliser, rank, place in zip(
            rows, normalisers, ranks_of(rows, [token_id])[:, 0], places[begin:], strict=False
        ):
            logits[place] = row[token_id]
            probabilities[place] = np.exp(row[token_id] - normaliser)
            ranks[place] = rank
    return FeedforwardLens(layers, logits, probabilities, ranks)


def probabilities_without(
    model: HookedModel, trace: Trace, layer: int | None, pos: int = -1
) -> Float[np.ndarray, "vocab"]:
    """Return the next token's probabilities after a position, one feedforward switched off.

    It adds nothing at any position of the text up to there. The text runs once more.

    Args:
        model: The model.
        trace: A trace of that model.
        layer: The layer; None leaves all as they are.
        pos: The position.

    Raises:
        PromptError: The trace lacks that position.
        InterventionError: The feedforward cannot be switched off in this model.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    if layer is None and pos == len(trace) - 1:
        logits = trace.last_logits
    else:
        off = () if layer is None else (AblateMLP(layer),)
        logits = model.trace(trace.token_ids[: pos + 1], off).last_logits
    return torch.softmax(torch.tensor(logits).double(), -1).numpy()


def neuron_writes(
    model: HookedModel,
    trace: Trace,
    neurons: NeuronTrace,
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
        neurons: The hidden layer of that trace.
        pos: The position.
        which: Some neurons only, in this order.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    which = which if isinstance(which, slice) else list(which)
    activation = neurons.activation[pos, which, None].astype(np.float64)
    rows = activation * neurons.output_rows[which]
    return _to_stream(model, trace, neurons, rows, pos)


def bias_write(
    model: HookedModel, trace: Trace, neurons: NeuronTrace, pos: int = -1
) -> Float[np.ndarray, "d_model"] | None:
    """Return what the bias of the down projection adds to the stream; None without one.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
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
    recorded = trace.layers[layer]
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
    model: HookedModel, trace: Trace, neurons: NeuronTrace, token_id: int, pos: int = -1
) -> NeuronEffects:
    """Measure every neuron of a layer at one position, by itself and by one token's logit.

    The logit is the lens's right after that layer: through final norm and LM head, with the scale
    that the final norm has for the stream there. Unlike the probability, it is a sum of parts.

    Raises:
        PromptError: The trace lacks that position.
        LayerError: Something else stands between the neurons and the stream.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    after = trace.layers[neurons.layer].resid_post[pos]
    direction = token_direction(model, after, token_id)
    sizes, effects = [], []
    for begin in range(0, len(neurons.output_rows), AT_ONCE):
        some = slice(begin, begin + AT_ONCE)
        writes = neuron_writes(model, trace, neurons, pos, some)
        sizes.append(np.linalg.norm(writes, axis=-1))
        effects.append(writes @ direction)
    bias = bias_write(model, trace, neurons, pos)
    whole = feedforward_write(model, trace, neurons.layer, pos)
    return NeuronEffects(
        sizes=np.concatenate(sizes),
        effects=np.concatenate(effects),
        bias=0.0 if bias is None else float(bias @ direction),
        whole=float(direct_effects(model, whole[None], after, [token_id])[0, 0]),
    )


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
    after = trace.layers[layer].resid_post[pos]
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
