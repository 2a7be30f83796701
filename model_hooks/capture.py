"""Record what a forward pass computes: attention inputs and the residual stream, by reference.

The hooks are installed once and stay silent unless the current context is recording, so one
model serves many threads. A registered attention function runs the usual fast path and keeps
query, key and value; attention weights are computed later, when somebody looks (attention.py).
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

from model_hooks.anatomy import Anatomy, BlockAnatomy, hidden_states_of
from model_hooks.attention import AttentionCall, family_eager

# transformers refuses names that contain "sdpa" or "flash" unless the family supports those.
FAST = "inlook"
EAGER = "inlook_eager"

# Keyword arguments of attention functions that do not change the weights but pin memory.
_NOT_KEPT = {
    "cache_position",
    "output_attentions",
    "output_hidden_states",
    "past_key_values",
    "position_embeddings",
    "position_ids",
    "use_cache",
}


@dataclass
class LayerRecord:
    """One pass through one block; tensors are [pos, d_model] on the model's device."""

    layer: int
    resid_pre: Tensor
    calls: list[AttentionCall] = field(default_factory=list)
    attn_out: Tensor | None = None
    resid_mid: Tensor | None = None
    mlp_out: Tensor | None = None
    resid_post: Tensor | None = None


class Recording:
    """What the hooks collect during one forward pass.

    Args:
        new_rows: How many last positions to keep, copied, so that the full-length buffers of an
            uncached or cached step are not kept alive; None keeps everything by reference.
    """

    def __init__(self, new_rows: int | None = None) -> None:
        self.new_rows = new_rows
        self.layers: list[LayerRecord] = []

    def rows(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """Return the rows to keep of a tensor whose axis `dim` is the position."""
        if self.new_rows is None or tensor.shape[dim] < self.new_rows:
            return tensor
        return tensor.narrow(dim, tensor.shape[dim] - self.new_rows, self.new_rows).clone()

    def open(self, layer: int) -> LayerRecord | None:
        """Return the record of the block that is running now, if it is that layer's."""
        last = self.layers[-1] if self.layers else None
        return last if last is not None and last.layer == layer else None


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)
_replacement: ContextVar[Tensor | None] = ContextVar("replacement", default=None)


@contextmanager
def recording(new_rows: int | None = None) -> Iterator[Recording]:
    """Collect what a hooked model computes in this context."""
    fresh = Recording(new_rows)
    token = _recording.set(fresh)
    try:
        yield fresh
    finally:
        _recording.reset(token)


@contextmanager
def blocks_replaced_by(hidden: Tensor) -> Iterator[None]:
    """Skip every block in this context and let `hidden` [1, pos, d_model] leave the last one.

    What comes after the blocks (final norm, projections, LM head, logit scaling or softcap) then
    runs as the family wrote it: this is how the logit lens stays exact for every family.
    """
    token = _replacement.set(hidden)
    try:
        yield
    finally:
        _replacement.reset(token)


def install(model: PreTrainedModel, anatomy: Anatomy) -> None:
    """Hook each block once, for the lifetime of the model."""
    for layer, block in enumerate(anatomy.blocks):
        _install_skip(block, is_last=layer == len(anatomy.blocks) - 1)
        block.module.register_forward_pre_hook(
            functools.partial(_start_layer, layer), with_kwargs=True
        )
        block.module.register_forward_hook(functools.partial(_end_layer, layer))
        for name, tap in (
            ("attn_out", block.attn_out),
            ("resid_mid", block.resid_mid),
            ("mlp_out", block.mlp_out),
        ):
            if tap is None:
                continue
            if tap.at_input:
                hook = functools.partial(_keep_input, layer, name)
                tap.module.register_forward_pre_hook(hook, with_kwargs=True)
            else:
                hook = functools.partial(_keep_output, layer, name, tap.scale)
                tap.module.register_forward_hook(hook)


def attention_name(model: PreTrainedModel) -> str:
    """Return the attention implementation that records this family without changing it."""
    return FAST if model._supports_sdpa else EAGER


def _start_layer(layer: int, module: nn.Module, args: tuple, kwargs: dict) -> None:
    current = _recording.get()
    if current is not None:
        current.layers.append(LayerRecord(layer, current.rows(hidden_states_of(args, kwargs)[0])))


def _end_layer(layer: int, module: nn.Module, args: tuple, output: Any) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(layer)) is not None:
        record.resid_post = current.rows(hidden_states_of((output,), {})[0])


def _keep_input(layer: int, name: str, module: nn.Module, args: tuple, kwargs: dict) -> None:
    _keep(layer, name, 1.0, hidden_states_of(args, kwargs))


def _keep_output(
    layer: int, name: str, scale: float, module: nn.Module, args: tuple, output: Any
) -> None:
    _keep(layer, name, scale, hidden_states_of((output,), {}))


def _keep(layer: int, name: str, scale: float, tensor: Tensor) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(layer)) is not None:
        # OPT and some experts flatten [1, pos, d_model] to [pos, d_model] before a layer.
        kept = current.rows(tensor.reshape(-1, tensor.shape[-1]))
        setattr(record, name, kept if scale == 1.0 else kept * scale)


def _install_skip(block: BlockAnatomy, is_last: bool) -> None:
    module, run = block.module, block.module.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        replacement = _replacement.get()
        if replacement is None:
            return run(*args, **kwargs)
        hidden = replacement if is_last else hidden_states_of(args, kwargs)
        if block.output_length is None:
            return hidden
        return (hidden, *[None] * (block.output_length - 1))

    module.forward = forward


def _record_call(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    kwargs: dict,
) -> None:
    current = _recording.get()
    if current is None or not current.layers:
        return
    calls = current.layers[-1].calls
    if calls and calls[-1].source == query.data_ptr():
        return  # the same query and key again (DiffLlama calls attention twice)
    n_query, n_keys = query.shape[2], key.shape[2]
    n_kept = n_query if current.new_rows is None else min(current.new_rows, n_query)
    if mask is not None and n_kept < n_query and mask.shape[2] == n_query:
        mask = mask[:, :, -n_kept:].clone()
    causal = kwargs.get("is_causal")
    calls.append(
        AttentionCall(
            module=module,
            query=current.rows(query, 2),
            key=current.rows(key, 2),
            value=current.rows(value, 2),
            mask=mask,
            scaling=scaling,
            causal=getattr(module, "is_causal", True) if causal is None else causal,
            extra={n: v for n, v in kwargs.items() if v is not None and n not in _NOT_KEPT},
            n_keys=n_keys,
            source=query.data_ptr(),
        )
    )


def _recorded_fast(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    _record_call(module, query, key, value, attention_mask, scaling, kwargs)
    kwargs.pop("output_attentions", None)
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
    )


def _recorded_eager(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    _record_call(module, query, key, value, attention_mask, scaling, kwargs)
    output, _ = family_eager(module)(
        module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
    )
    return output, None


# The mask function must carry the same name: an unknown one silently drops every mask.
AttentionInterface.register(FAST, _recorded_fast)
AttentionMaskInterface.register(FAST, sdpa_mask)
AttentionInterface.register(EAGER, _recorded_eager)
AttentionMaskInterface.register(EAGER, eager_mask)


def attach_weights(record: Recording, attentions: tuple[Tensor, ...]) -> None:
    """Give each layer the weights that an eager model returned itself.

    For the families that do not use the attention interface: their query and key stay inside.
    """
    for layer, weights in zip(record.layers, attentions, strict=True):
        layer.calls.append(AttentionCall.from_weights(record.rows(weights, 2)))


@torch.inference_mode()
def output_of_last_block(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """Return resid_post of the last layer, [pos, d_model], without keeping anything else."""
    with recording() as record:
        model(input_ids=input_ids, use_cache=False)
    return record.layers[-1].resid_post
