"""Record what a forward pass computes: attention inputs and the residual stream, by reference.

The hooks are installed once and stay silent unless the current context is recording, so one
model serves many threads. A registered attention function runs the usual fast path and keeps
query, key and value; attention weights are computed later, when somebody looks (attention.py).
"""

import functools
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

from model_hooks.parts.anatomy import Anatomy, BlockAnatomy, StreamLayout, Tap, hidden_states_of
from model_hooks.run.attention import AttentionCall, attention_weights, family_eager
from model_hooks.run.interventions import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    AttentionPattern,
    InsideAttention,
    Intervention,
    Knockout,
    ShareKVHeads,
    acts_in,
    with_shared_heads,
    within_patterns,
    without_heads,
    without_knocked_out,
)

# transformers refuses names that contain "sdpa" or "flash" unless the family supports those.
FAST = "inlook"
EAGER = "inlook_eager"

# Which intervention silences which tap.
_ABLATIONS = {"attn_out": AblateAttention, "mlp_out": AblateMLP, "resid_mid": lambda layer: None}

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
        interventions: What to switch off in this pass.
        n_positions: Length of the text, with the positions that a KV cache holds.
    """

    def __init__(
        self,
        new_rows: int | None = None,
        interventions: Sequence[Intervention] = (),
        n_positions: int = 0,
    ) -> None:
        self.new_rows = new_rows
        self.interventions = tuple(interventions)
        self.n_positions = n_positions
        self.layers: list[LayerRecord] = []
        self._running: nn.Module | None = None

    def rows(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """Return the rows to keep of a tensor whose axis `dim` is the position."""
        if self.new_rows is None or tensor.shape[dim] <= self.new_rows:
            return tensor  # all of them: nothing else is kept alive with it
        return tensor.narrow(dim, tensor.shape[dim] - self.new_rows, self.new_rows).clone()

    def begin(self, block: nn.Module, stream: Tensor) -> None:
        """Open the record of a block that starts to run on `stream` [pos, d_model]."""
        self.layers.append(LayerRecord(len(self.layers), self.rows(stream)))
        self._running = block

    def open(self, block: nn.Module) -> LayerRecord | None:
        """Return the record of the block that is running now, if it is this one."""
        return self.layers[-1] if self._running is block else None


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)
_replacement: ContextVar[Tensor | None] = ContextVar("replacement", default=None)


@contextmanager
def recording(
    new_rows: int | None = None,
    interventions: Sequence[Intervention] = (),
    n_positions: int = 0,
) -> Iterator[Recording]:
    """Collect what a hooked model computes in this context."""
    fresh = Recording(new_rows, interventions, n_positions)
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


def install(anatomy: Anatomy) -> None:
    """Hook each block once, for the lifetime of the model."""
    layout, last = anatomy.layout, anatomy.blocks[-1].module
    for block in {id(block.module): block for block in anatomy.blocks}.values():
        module = block.module
        _install_skip(block, layout, is_last=module is last)
        module.register_forward_pre_hook(functools.partial(_start, layout), with_kwargs=True)
        module.register_forward_hook(functools.partial(_end, layout))
        for name, tap in (
            ("attn_out", block.attn_out),
            ("resid_mid", block.resid_mid),
            ("mlp_out", block.mlp_out),
        ):
            if tap is None:
                continue
            if tap.at_input:
                hook = functools.partial(_keep_input, layout, module, name, tap.changes)
                tap.module.register_forward_pre_hook(hook, with_kwargs=True)
            else:
                hook = functools.partial(_keep_output, layout, module, name, tap)
                tap.module.register_forward_hook(hook)


class _StandIn(str):
    """The name of a recording implementation that passes for the one it wraps.

    Some families ask `config._attn_implementation in ("eager", "sdpa")` before they build a mask
    and would compute something else under a name they do not know. The name hashes as its own, so
    the registries of transformers find the recording function under it.
    """

    wrapped = ""
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or self.wrapped == other

    def __ne__(self, other: object) -> bool:
        return not self == other


def use_recording_attention(model: PreTrainedModel) -> bool:
    """Switch a model to the attention implementation that records it without changing it.

    Returns:
        False if the family does not use transformers' attention interface: it then runs its own
        eager attention, which returns its weights itself.
    """
    if not model._can_set_attn_implementation():
        use_eager_attention(model)
        return False
    model.set_attn_implementation(FAST if model._supports_sdpa else EAGER)
    for config in _configs(model):
        if config._attn_implementation in (FAST, EAGER):
            name = _StandIn(config._attn_implementation)
            name.wrapped = "sdpa" if config._attn_implementation == FAST else "eager"
            config._attn_implementation_internal = name
    return True


def use_eager_attention(model: PreTrainedModel) -> None:
    """Make a model run the eager attention that returns weights, whatever it was loaded with.

    `set_attn_implementation` only warns where the family does not use the attention interface, and
    with a mask made for sdpa such a family silently computes nonsense (Falcon attends ahead).
    """
    for config in _configs(model):
        config._attn_implementation_internal = "eager"


def _configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    configs = [module.config for module in model.modules() if isinstance(module, PreTrainedModel)]
    configs += [
        module.config
        for module in model.modules()
        if isinstance(getattr(module, "config", None), PreTrainedConfig)
    ]
    return list({id(config): config for config in configs}.values())


def _start(layout: StreamLayout, module: nn.Module, args: tuple, kwargs: dict) -> None:
    if (current := _recording.get()) is not None:
        current.begin(module, layout.rows(hidden_states_of(args, kwargs)))


def _end(layout: StreamLayout, module: nn.Module, args: tuple, output: Any) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(module)) is not None:
        record.resid_post = current.rows(layout.rows(hidden_states_of((output,), {})))


def _keep_input(
    layout: StreamLayout,
    block: nn.Module,
    name: str,
    changes: bool,
    module: nn.Module,
    args: tuple,
    kwargs: dict,
) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(block)) is not None:
        kept = current.rows(layout.rows(hidden_states_of(args, kwargs)))
        setattr(record, name, kept.clone() if changes else kept)


def _keep_output(
    layout: StreamLayout,
    block: nn.Module,
    name: str,
    tap: Tap,
    module: nn.Module,
    args: tuple,
    output: Any,
) -> Any:
    current = _recording.get()
    if current is None or (record := current.open(block)) is None:
        return None
    ablated = _ABLATIONS[name](record.layer) in current.interventions
    if ablated:
        output = _zeroed(output)
    kept = current.rows(layout.rows(hidden_states_of((output,), {})))
    if tap.scale != 1.0:
        kept = kept * tap.scale
    elif tap.changes:
        kept = kept.clone()
    setattr(record, name, kept)
    return output if ablated else None


def _zeroed(output: Any) -> Any:
    if isinstance(output, Tensor):
        return torch.zeros_like(output)
    return type(output)((_zeroed(output[0]), *output[1:]))


def _install_skip(block: BlockAnatomy, layout: StreamLayout, is_last: bool) -> None:
    module, run = block.module, block.module.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        replacement = _replacement.get()
        if replacement is None:
            return run(*args, **kwargs)
        hidden = layout.restored(replacement[0]) if is_last else hidden_states_of(args, kwargs)
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
    # Keys that are not one per position (DeepSeek-V4 appends compressed ones) cannot be joined.
    from_cache = query.shape[2] < current.n_positions
    one_key_each = from_cache or query.shape[2] == key.shape[2]
    if module in _WEIGHTS_AT_ONCE or not one_key_each:
        _add_weights(current, calls, module, query, key, mask, scaling, kwargs)
        return
    n_query, n_keys = query.shape[2], key.shape[2]
    n_kept = n_query if current.new_rows is None else min(current.new_rows, n_query)
    if mask is not None and n_kept < n_query and mask.shape[2] == n_query:
        mask = mask[:, :, -n_kept:].clone()
    calls.append(
        AttentionCall(
            module=module,
            query=current.rows(query, 2),
            key=current.rows(key, 2),
            value=current.rows(value, 2),
            mask=mask,
            scaling=scaling,
            causal=_is_causal(module, kwargs),
            extra={
                name: current.rows(value, 2) if _is_per_query(value, n_query) else value
                for name, value in _extra(kwargs).items()
            },
            n_keys=n_keys,
            source=query.data_ptr(),
        )
    )


def _is_causal(module: nn.Module, kwargs: dict) -> bool:
    causal = kwargs.get("is_causal")
    return getattr(module, "is_causal", True) if causal is None else causal


def _extra(kwargs: dict) -> dict:
    return {n: v for n, v in kwargs.items() if v is not None and n not in _NOT_KEPT}


def _is_per_query(value: Any, n_query: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[2] == n_query


_WEIGHTS_AT_ONCE: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Attention modules in blocks that attend more than once: their heads are recorded side by side."""


def settle(layers: Iterable[LayerRecord]) -> None:
    """Learn from a first recording which blocks attend several times in one run."""
    for layer in layers:
        if len(layer.calls) > 1:
            _WEIGHTS_AT_ONCE.update(call.module for call in layer.calls)


def _add_weights(
    current: Recording,
    calls: list[AttentionCall],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    kwargs: dict,
) -> None:
    call = AttentionCall(
        module=module,
        query=query,
        mask=mask,
        scaling=scaling,
        causal=_is_causal(module, kwargs),
        extra=_extra(kwargs),
        n_keys=key.shape[2],
    )
    weights = current.rows(attention_weights(call, key)[None], 2)
    if calls:
        weights = torch.cat([calls.pop().weights, weights], 1)
    calls.append(AttentionCall.from_weights(weights))


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
    key, value = _shared(key), _shared(value)
    attention_mask = _narrowed(module, query, key, attention_mask, kwargs)
    _record_call(module, query, key, value, attention_mask, scaling, kwargs)
    kwargs.pop("output_attentions", None)
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
    )
    return _without_ablated_heads(output), None


def _recorded_eager(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    key, value = _shared(key), _shared(value)
    attention_mask = _narrowed(module, query, key, attention_mask, kwargs)
    _record_call(module, query, key, value, attention_mask, scaling, kwargs)
    output, weights = family_eager(module)(
        module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
    )
    return _without_ablated_heads(output), weights


def _shared(heads: Tensor) -> Tensor:
    """Keys or values with the means that KV heads share in this run and layer."""
    for shared in _acting(ShareKVHeads):
        heads = with_shared_heads(shared.n_groups, heads)
    return heads


def _narrowed(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, kwargs: dict
) -> Tensor | None:
    """The mask with this run's knockouts and patterns in the layer that is running now."""
    for kind, narrow in ((Knockout, without_knocked_out), (AttentionPattern, within_patterns)):
        if acting := _acting(kind):
            end = _recording.get().n_positions
            mask = narrow(acting, mask, query, key, end, _is_causal(module, kwargs))
    return mask


def _without_ablated_heads(output: Tensor) -> Tensor:
    """The attention output [1, new, head, d_value] without the heads that this run ablates."""
    heads = [ablated.head for ablated in _acting(AblateHead)]
    return without_heads(output, heads) if heads else output


def _acting(kind: type[InsideAttention]) -> list:
    """This run's interventions of one kind that act in the layer that is running now."""
    current = _recording.get()
    if current is None or not current.interventions or not current.layers:
        return []
    layer = current.layers[-1].layer
    return [i for i in current.interventions if isinstance(i, kind) and acts_in(i, layer)]


# The mask function must carry the same name: an unknown one silently drops every mask.
AttentionInterface.register(FAST, _recorded_fast)
AttentionMaskInterface.register(FAST, sdpa_mask)
AttentionInterface.register(EAGER, _recorded_eager)
AttentionMaskInterface.register(EAGER, eager_mask)


def attach_weights(record: Recording, attentions: tuple[Tensor | None, ...] | None) -> None:
    """Give each layer the weights that an eager model returned itself.

    For the families that do not use the attention interface: their query and key stay inside.
    What is returned under this name but is no map of weights (RWKV's states) is left out.
    """
    maps = list(attentions or ())
    if len(maps) != len(record.layers):
        return
    for layer, weights in zip(record.layers, maps, strict=True):
        n_pos = len(layer.resid_pre)
        if isinstance(weights, Tensor) and weights.ndim == 4 and weights.shape[2] >= n_pos:
            layer.calls = [AttentionCall.from_weights(record.rows(weights, 2))]
