"""How many floating-point operations does a forward pass take, by parameter and recorded shapes?

A product of [m, k] and [k, n] matrices counts 2 m k n. Only matrix products are counted (the
convention of Kaplan et al. 2020, section 2.1): norms, activations and softmax are left out.
"""

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from model_hooks.parts.anatomy import Anatomy
from model_hooks.parts.experts import active_share_of
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
            share = active_share_of(config) if ".experts." in f".{name}" else 1.0
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
            if call.inputs is None:
                width = 2 * record.resid_pre.shape[-1]  # d_key + d_value of all heads together
            else:
                width = call.n_heads * (call.inputs.query.shape[3] + call.inputs.value.shape[3])
            total += 2 * rows * call.n_keys * width
    return total


def _owner(module: nn.Module, parameter_name: str) -> nn.Module:
    path = parameter_name.rpartition(".")[0]
    return module.get_submodule(path) if path else module
