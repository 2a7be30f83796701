"""Neurons: the hidden layer of a feedforward, computed when a page asks for it.

A neuron is one column of the feedforward's hidden layer; its activation times its row of the down
projection is what it adds to the residual stream ("Transformer Feed-Forward Layers Are Key-Value
Memories", Geva et al. 2021, section 2).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model_hooks.errors import LayerError
from model_hooks.parts.anatomy import BlockAnatomy
from model_hooks.parts.norms import is_plain_norm
from model_hooks.run.trace import to_array


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
        LayerError: The block has no feedforward, or none with a single hidden layer, as in a
            mixture of experts.
    """
    if block.parts == ("attention",):
        raise LayerError(f"{block.path} has no feedforward: it only mixes positions.")
    inside_attention = set(block.attention.modules()) if block.attention is not None else set()
    part = block.mlp_out.module if block.mlp_out is not None else block.module
    if not any(_is_linear(module) for module in part.children()):
        part = block.module  # its projections lie in the block itself (OPT), or deeper (BERT)
    outside = [
        (name, module)
        for name, module in block.module.named_modules(remove_duplicate=False)
        if module not in inside_attention and not re.search("expert|shared", name)
    ]
    inside = set(part.modules())
    linear = [(name, module) for name, module in outside if _is_linear(module) and module in inside]
    downs = [(name, module) for name, module in linear if _sizes(module)[1] == d_model]
    if not downs:
        raise LayerError(_NO_HIDDEN_LAYER.format(block.path))
    name, down = downs[-1]
    width = _sizes(down)[0]
    if not any(_sizes(module)[1] in (width, 2 * width) for _, module in linear):
        raise LayerError(_NO_HIDDEN_LAYER.format(block.path))
    acts = [module for name, module in outside if _is_activation(name, module)]
    in_part = [module for module in acts if module in inside]
    acts = in_part or acts
    return Feedforward(down, f"{block.path}.{name}", acts[-1] if acts else None)


_NO_HIDDEN_LAYER = (
    "The feedforward in {} has no single hidden layer that can be read: it is split into experts "
    "or built in another way."
)
_ACTIVATIONS = ("transformers.activations", "torch.nn.modules.activation")


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, Conv1D))


def _is_activation(name: str, module: nn.Module) -> bool:
    """Whether a module is an activation function: a few have a number or two to learn (xIELU)."""
    if any(parameter.numel() > 1 for parameter in module.parameters()):
        return False
    kind = type(module)
    named = "act" in name.rsplit(".", 1)[-1].lower()
    return named or kind.__module__ in _ACTIVATIONS or "gelu" in kind.__name__.lower()


_seen: ContextVar[dict[str, Tensor] | None] = ContextVar("seen", default=None)


def watch(feedforward: Feedforward) -> None:
    """Install the hooks that `watching` listens to; call it once per feedforward."""
    feedforward.down.register_forward_pre_hook(_note_activation)
    if feedforward.act is not None:
        feedforward.act.register_forward_hook(partial(_note_act, feedforward.act))


class _Enough(Exception):
    """Ends a run whose rest nobody asks for."""


@contextmanager
def watching(feedforward: Feedforward, earlier_runs: int = 0) -> Iterator[dict[str, Tensor]]:
    """Collect the hidden layer of one feedforward in this context, and end the run with it.

    Args:
        feedforward: What to watch.
        earlier_runs: How many runs of it to let pass: some models run a block several times.
    """
    found: dict[str, Any] = {"feedforward": feedforward, "to_pass": earlier_runs}
    token = _seen.set(found)
    try:
        yield found
    except _Enough:
        pass
    finally:
        _seen.reset(token)


def _note_activation(module: nn.Module, args: tuple) -> None:
    found = _seen.get()
    if found is not None and found["feedforward"].down is module:
        found["activation"] = args[0].reshape(-1, args[0].shape[-1])
        found |= found.pop("last", {})
        found["to_pass"] -= 1
        if found["to_pass"] < 0:
            raise _Enough


def _note_act(act: nn.Module, module: nn.Module, args: tuple, output: Tensor) -> None:
    """Keep the activation function's last run: blocks may share one (GPT-1)."""
    found = _seen.get()
    if found is not None and found["feedforward"].act is act:
        found["last"] = {
            "pre_activation": args[0].reshape(-1, args[0].shape[-1]).clone(),
            "activated": output.reshape(-1, output.shape[-1]),
        }


def output_rows(down: nn.Module) -> Tensor:
    """Return the weight of a down projection as [neuron, d_model]."""
    return down.weight if isinstance(down, Conv1D) else down.weight.T


def _sizes(module: nn.Module) -> tuple[int, int]:
    """(in, out) features of a linear layer."""
    rows, columns = module.weight.shape
    return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)


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
        raise LayerError(_NO_HIDDEN_LAYER.format(block.path))


def neurons_sum(
    neurons: NeuronTrace, positions: Sequence[int] | slice = slice(None)
) -> Float[np.ndarray, "pos d_model"]:
    """Return what the down projection gives: activations times output rows, and the bias."""
    total = neurons.activation[positions] @ neurons.output_rows
    return total if neurons.bias is None else total + neurons.bias
