"""What is a norm, and of which kind? Told by a module's class and by trying it."""

import inspect
from typing import Literal

import torch
from torch import nn

from model_hooks.parts.anatomy import is_norm


@torch.inference_mode()
def norm_kind(module: nn.Module) -> Literal["LayerNorm", "RMSNorm"]:
    """Return what a norm computes, told apart by trying it.

    Only a norm that subtracts the mean gives the same for a shifted vector. One without a weight
    of one dimension is told by its class's name.
    """
    weight = next(module.parameters(recurse=False), None)
    if weight is None or weight.ndim != 1:
        return "LayerNorm" if "layernorm" in type(module).__name__.lower() else "RMSNorm"
    vector = torch.linspace(-1, 1, len(weight), dtype=weight.dtype, device=weight.device)
    gap = module(vector[None, None]) - module(vector[None, None] + 1)
    # Weights may be zero but for a few: what counts is the gap's size beside the output's.
    size = module(vector[None, None] + 1).abs().max()
    return "LayerNorm" if float(gap.abs().max()) <= 5e-2 * float(size) else "RMSNorm"


def takes_one_argument(module: nn.Module) -> bool:
    """Whether a module can run on a vector alone (a gated norm wants the gate, too)."""
    parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty and p.kind in positional]
    return len(required) == 1


def is_plain_norm(module: nn.Module) -> bool:
    """Whether a module is a norm that takes one vector and nothing else."""
    return is_norm(module) and takes_one_argument(module)
