"""What did the neurons of a feedforward do in one run? Read when a page asks for it.

A neuron is one column of the feedforward's hidden layer; its activation times its row of the down
projection is what it adds to the residual stream ("Transformer Feed-Forward Layers Are Key-Value
Memories", Geva et al. 2021, section 2).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from model_hooks.arrays import check_array, check_index, to_array
from model_hooks.errors import LayerError
from model_hooks.parts.anatomy import BlockAnatomy
from model_hooks.parts.neurons import NO_HIDDEN_LAYER, Feedforward, find_feedforward, output_rows
from model_hooks.parts.norms import is_plain_norm
from model_hooks.run.numbers import CutShort
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class NeuronTrace:
    """The feedforward's hidden layer of one block, for every position of a trace."""

    layer: int
    path: str
    """Module path of the down projection, whose input the activations are."""
    activation: Float[np.ndarray, "pos neuron"]
    """What each neuron's output row is multiplied by; with a gate, gate times up projection."""
    pre_activation: Float[np.ndarray, "pos neuron"] | None
    """What enters the activation function; None where it is no module of its own."""
    activated: Float[np.ndarray, "pos neuron"] | None
    """What leaves the activation function: with a gate, the gate."""
    output_rows: Float[np.ndarray, "neuron d_model"]
    """What each neuron writes to the residual stream per unit of activation."""
    bias: Float[np.ndarray, "d_model"] | None

    @property
    def gated(self) -> bool:
        """Whether the activated values are multiplied by a second projection."""
        return self.activated is not None and not np.array_equal(self.activated, self.activation)

    @property
    def up(self) -> Float[np.ndarray, "pos neuron"] | None:
        """The second factor of a gated feedforward; None without a gate.

        Where the gate is exactly zero the factor cannot be read back: it is NaN there.
        """
        if not self.gated:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.activated == 0, np.nan, self.activation / self.activated)


class NeuronReader:
    """Reads the feedforwards of one model; a layer gets its hooks when it is first asked for."""

    def __init__(self, blocks: Sequence[BlockAnatomy], d_model: int) -> None:
        self._blocks, self._d_model = tuple(blocks), d_model
        self._found: dict[int, Feedforward] = {}
        self._lock = threading.Lock()

    def feedforward(self, layer: int) -> Feedforward:
        """Return where the hidden layer of a layer is.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        layer = check_index("layer", layer, len(self._blocks), LayerError)
        with self._lock:
            if layer not in self._found:
                found = find_feedforward(self._blocks[layer], self._d_model)
                watch(found)
                self._found[layer] = found
            return self._found[layer]

    def read(self, trace: Trace, layer: int, run_again: Callable[[], object]) -> NeuronTrace:
        """Return the hidden layer of one feedforward.

        Args:
            trace: The run that it belongs to.
            layer: The layer.
            run_again: Runs the trace's text again as it ran; it is stopped after the feedforward.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        layer = check_index("layer", layer, len(self._blocks), LayerError)
        feedforward = self.feedforward(layer)
        modules = [block.module for block in self._blocks]
        with watching(feedforward, modules[:layer].count(modules[layer])) as watched:
            run_again()
        neurons = _neuron_trace(layer, watched)
        check_whole(neurons, trace.layers[layer].mlp_out, self._blocks[layer])
        return neurons

    @torch.inference_mode()
    def activation_function(
        self, layer: int, inputs: Float[np.ndarray, "point"]
    ) -> Float[np.ndarray, "point"] | None:
        """Return what a layer's activation function makes of some numbers.

        Returns:
            None where it is no module of its own, so that it cannot be asked.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        feedforward = self.feedforward(layer)
        inputs = check_array("inputs", inputs, 1, LayerError)
        if feedforward.act is None:
            return None
        weight = output_rows(feedforward.down)
        given = torch.tensor(inputs, dtype=weight.dtype, device=weight.device)
        return to_array(feedforward.act(given))


@dataclass
class Watched:
    """What was seen of a feedforward in one run; tensors are [pos, neuron]."""

    feedforward: Feedforward
    runs_to_pass: int
    activation: Tensor | None = None
    pre_activation: Tensor | None = None
    activated: Tensor | None = None
    act: tuple[Tensor, Tensor] | None = None
    """What the activation function took and gave when it last ran: blocks may share one (GPT-1)."""


_watched: ContextVar[Watched | None] = ContextVar("watched", default=None)


def watch(feedforward: Feedforward) -> None:
    """Install the hooks that `watching` listens to; call it once per feedforward."""
    feedforward.down.register_forward_pre_hook(_note_activation)
    if feedforward.act is not None:
        feedforward.act.register_forward_hook(_note_act)


@contextmanager
def watching(feedforward: Feedforward, earlier_runs: int = 0) -> Iterator[Watched]:
    """Collect the hidden layer of one feedforward in this context, and end the run with it.

    Args:
        feedforward: What to watch.
        earlier_runs: How many runs of it to let pass: some models run a block several times.
    """
    watched = Watched(feedforward, earlier_runs)
    token = _watched.set(watched)
    try:
        yield watched
    except CutShort:
        pass
    finally:
        _watched.reset(token)


def _note_activation(module: nn.Module, args: tuple) -> None:
    watched = _watched.get()
    if watched is None or watched.feedforward.down is not module:
        return
    watched.activation = _per_position(args[0])
    watched.pre_activation, watched.activated = watched.act or (None, None)
    watched.act = None
    watched.runs_to_pass -= 1
    if watched.runs_to_pass < 0:
        raise CutShort


def _note_act(module: nn.Module, args: tuple, output: Tensor) -> None:
    watched = _watched.get()
    if watched is not None and watched.feedforward.act is module:
        watched.act = _per_position(args[0]).clone(), _per_position(output)


def _per_position(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _neuron_trace(layer: int, watched: Watched) -> NeuronTrace:
    feedforward = watched.feedforward
    if watched.activation is None:
        raise LayerError(f"The feedforward of layer {layer} did not run as a whole.")
    pre, activated = watched.pre_activation, watched.activated
    if pre is not None and pre.shape != watched.activation.shape:
        pre = activated = None
    bias = getattr(feedforward.down, "bias", None)
    return NeuronTrace(
        layer=layer,
        path=feedforward.path,
        activation=to_array(watched.activation),
        pre_activation=None if pre is None else to_array(pre),
        activated=None if activated is None else to_array(activated),
        output_rows=to_array(output_rows(feedforward.down)),
        bias=None if bias is None else to_array(bias),
    )


class Addition(NamedTuple):
    """How what the down projection gives is added to the residual stream."""

    scale: float
    norm: nn.Module | None
    """The norm that it goes through first, if any (Gemma 2)."""


def how_added(
    total: Float[np.ndarray, "pos d_out"],
    mlp_out: Float[np.ndarray, "pos d_model"],
    block: BlockAnatomy,
) -> Addition | None:
    """Find out how the neurons' sum becomes what the feedforward adds; None if it does not."""
    if total.shape != mlp_out.shape:
        return None
    coarse = next(block.module.parameters()).dtype not in (torch.float32, torch.float64)
    tolerance = 3e-2 if coarse else 1e-3

    def same(result: Float[np.ndarray, "pos d_model"]) -> bool:
        return bool(np.abs(result - mlp_out).max() <= tolerance * np.abs(mlp_out).max())

    size = float((total * total).sum())
    scale = float((total * mlp_out).sum()) / size if size else 1.0
    scale = 1.0 if abs(scale - 1) < tolerance else scale
    if same(scale * total):
        return Addition(scale, None)
    if block.mlp_out is not None and is_plain_norm(norm := block.mlp_out.module):
        weight = next(norm.parameters(), torch.zeros(1))
        given = torch.tensor(total, dtype=weight.dtype, device=weight.device)
        with torch.inference_mode():
            if same(to_array(norm(given[None])[0])):
                return Addition(1.0, norm)
    return None


def check_whole(
    neurons: NeuronTrace, mlp_out: Float[np.ndarray, "pos d_model"], block: BlockAnatomy
) -> None:
    """Refuse neurons that are not what the feedforward adds, such as one expert among others.

    Raises:
        LayerError: Their sum is something else.
    """
    ends = sorted({0, len(mlp_out) - 1})
    total = neurons_sum(neurons, ends)
    if np.isfinite(total).all() and how_added(total, mlp_out[ends], block) is None:
        raise LayerError(NO_HIDDEN_LAYER.format(block.path))


def neurons_sum(
    neurons: NeuronTrace, positions: Sequence[int] | slice = slice(None)
) -> Float[np.ndarray, "pos d_model"]:
    """Return what the down projection gives: activations times output rows, and the bias."""
    total = neurons.activation[positions] @ neurons.output_rows
    return total if neurons.bias is None else total + neurons.bias
