"""Where is the hidden layer of a block's feedforward? Found in the module tree.

A neuron is one column of it; its activation times its row of the down projection is what it adds
to the residual stream ("Transformer Feed-Forward Layers Are Key-Value Memories", Geva et al. 2021,
section 2).
"""

import re
from dataclasses import dataclass

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model_hooks.errors import LayerError
from model_hooks.parts.anatomy import BlockAnatomy


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
        raise LayerError(NO_HIDDEN_LAYER.format(block.path))
    name, down = downs[-1]
    width = _sizes(down)[0]
    if not any(_sizes(module)[1] in (width, 2 * width) for _, module in linear):
        raise LayerError(NO_HIDDEN_LAYER.format(block.path))
    acts = [module for name, module in outside if _is_activation(name, module)]
    in_part = [module for module in acts if module in inside]
    acts = in_part or acts
    return Feedforward(down, f"{block.path}.{name}", acts[-1] if acts else None)


NO_HIDDEN_LAYER = (
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


def output_rows(down: nn.Module) -> Tensor:
    """Return the weight of a down projection as [neuron, d_model]."""
    weight = down.get_parameter("weight")
    return weight if isinstance(down, Conv1D) else weight.T


def _sizes(module: nn.Module) -> tuple[int, int]:
    """(in, out) features of a linear layer."""
    rows, columns = module.get_parameter("weight").shape
    return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)
