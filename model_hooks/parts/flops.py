"""Floating-point operations of a forward pass, from parameter and recorded shapes.

A product of [m, k] and [k, n] matrices counts 2 m k n. Only matrix products are counted (the
convention of Kaplan et al. 2020, section 2.1): norms, activations and softmax are left out.
"""

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from model_hooks.parts.anatomy import Anatomy
from model_hooks.run.capture import LayerRecord


def block_flops_per_row(model: PreTrainedModel, anatomy: Anatomy) -> int:
    """Return the operations of all linear layers in the blocks for one position.

    Of a mixture of experts only the experts that a token is routed to are counted.
    """
    config = model.config.get_text_config(decoder=True)
    total = 0.0
    for block in anatomy.blocks:
        for name, parameter in block.module.named_parameters():
            if parameter.ndim < 2 or isinstance(_owner(block.module, name), nn.Embedding):
                continue
            share = _active_share(config) if ".experts." in f".{name}" else 1.0
            total += 2 * parameter.numel() * share
    return int(total)


def head_flops_per_row(anatomy: Anatomy) -> int:
    """Return the operations of the LM head for one position."""
    weight = getattr(anatomy.lm_head, "weight", None)
    return 0 if weight is None else 2 * weight.numel()


def attention_flops(layers: Sequence[LayerRecord], rows: int) -> int:
    """Return the operations of scores and weighted sums, for `rows` queries over the keys seen."""
    total = 0
    for record in layers:
        for call in record.calls:
            if call.query is not None:
                n_heads, d_head, d_value = (
                    call.query.shape[1],
                    call.query.shape[3],
                    call.value.shape[3],
                )
                total += 2 * rows * call.n_keys * n_heads * (d_head + d_value)
            else:
                n_heads = call.weights.shape[1]
                total += 4 * rows * call.n_keys * record.resid_pre.shape[-1]
    return total


def _owner(module: nn.Module, parameter_name: str) -> nn.Module:
    path = parameter_name.rpartition(".")[0]
    return module.get_submodule(path) if path else module


def _active_share(config: object) -> float:
    n_experts = count_experts(config)
    active = getattr(config, "num_experts_per_tok", None) or getattr(config, "top_k_experts", None)
    return active / n_experts if n_experts and active else 1.0


def count_experts(config: object) -> int | None:
    """Return how many experts a feedforward layer has, None if it is an ordinary one."""
    for name in ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"):
        if (n_experts := getattr(config, name, None)) and n_experts > 1:
            return n_experts
    return None
