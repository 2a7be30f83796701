"""Neurons: the hidden layer of a feedforward, computed when a page asks for it.

A neuron is one column of the feedforward's hidden layer; its activation times its row of the down
projection is what it adds to the residual stream ("Transformer Feed-Forward Layers Are Key-Value
Memories", Geva et al. 2021, section 2).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model_hooks.anatomy import BlockAnatomy
from model_hooks.errors import LayerError


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


@dataclass(frozen=True)
class Feedforward:
    """Where a block's hidden layer can be read."""

    down: nn.Module
    path: str
    act: nn.Module | None


def find_feedforward(block: BlockAnatomy, d_model: int) -> Feedforward:
    """Return the down projection of a block's feedforward and its activation function.

    Raises:
        LayerError: The block has no single hidden layer, as in a mixture of experts.
    """
    inside_attention = set(block.attention.modules()) if block.attention is not None else set()
    outside = [
        (name, module)
        for name, module in block.module.named_modules()
        if module not in inside_attention and "expert" not in name
    ]
    downs = [
        (name, module)
        for name, module in outside
        if isinstance(module, (nn.Linear, Conv1D)) and _sizes(module)[1] == d_model
    ]
    if not downs:
        raise LayerError(
            f"The feedforward in {block.path} has no single hidden layer that can be read: it is "
            "split into experts or built in another way."
        )
    name, down = downs[-1]
    width = _sizes(down)[0]
    acts = [
        module
        for name, module in outside
        if "act" in name.rsplit(".", 1)[-1].lower() and not any(True for _ in module.parameters())
    ]
    ups = [module for _, module in outside if isinstance(module, (nn.Linear, Conv1D))]
    if not any(_sizes(module)[1] in (width, 2 * width) for module in ups):
        raise LayerError(f"The feedforward in {block.path} has no hidden layer that can be read.")
    return Feedforward(down, f"{block.path}.{name}", acts[-1] if acts else None)


_seen: ContextVar[dict[str, Tensor] | None] = ContextVar("seen", default=None)


def watch(feedforward: Feedforward) -> None:
    """Install the hooks that `watching` listens to; call it once per feedforward."""
    feedforward.down.register_forward_pre_hook(_note_activation)
    if feedforward.act is not None:
        feedforward.act.register_forward_hook(partial(_note_act, feedforward.act))


@contextmanager
def watching(feedforward: Feedforward) -> Iterator[dict[str, Tensor]]:
    """Collect the hidden layer of one feedforward in this context."""
    found: dict[str, Any] = {"feedforward": feedforward}
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def _note_activation(module: nn.Module, args: tuple) -> None:
    found = _seen.get()
    if found is not None and found["feedforward"].down is module:
        found["activation"] = args[0].reshape(-1, args[0].shape[-1])


def _note_act(act: nn.Module, module: nn.Module, args: tuple, output: Tensor) -> None:
    found = _seen.get()
    if found is not None and found["feedforward"].act is act:
        found["pre_activation"] = args[0].reshape(-1, args[0].shape[-1]).clone()
        found["activated"] = output.reshape(-1, output.shape[-1])


def output_rows(down: nn.Module) -> Tensor:
    """Return the weight of a down projection as [neuron, d_model]."""
    return down.weight if isinstance(down, Conv1D) else down.weight.T


def _sizes(module: nn.Module) -> tuple[int, int]:
    """(in, out) features of a linear layer."""
    rows, columns = module.weight.shape
    return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)
