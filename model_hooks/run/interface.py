"""How does attention get recorded and changed? By functions that transformers calls in its place.

Registered with transformers' attention interface, they run the usual fast path and keep query, key
and value by reference; weights are computed later, when somebody looks (attention.py). A family
outside the interface runs its own eager attention and returns its weights itself.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, eager_mask, sdpa_mask

from model_hooks.run.attention import (
    AttentionCall,
    QueryKeyValue,
    RecordedAttention,
    ReturnedWeights,
    family_eager,
)
from model_hooks.run.capture import LayerRecord, Recording, current_recording
from model_hooks.run.masks import NarrowedMask

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

_WEIGHTS_AT_ONCE: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Attention modules in blocks that attend more than once: their heads are recorded side by side."""


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


def settle(layers: Iterable[LayerRecord]) -> None:
    """Learn from a first recording which blocks attend several times in one run."""
    for layer in layers:
        if len(layer.calls) > 1:
            _WEIGHTS_AT_ONCE.update(
                call.module for call in layer.calls if isinstance(call, RecordedAttention)
            )


def attach_weights(record: Recording, attentions: Sequence[Tensor | None] | None) -> None:
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
            layer.calls = [ReturnedWeights(record.rows(weights, 2))]


def _configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    found = (getattr(module, "config", None) for module in model.modules())
    configs = [config for config in found if isinstance(config, PreTrainedConfig)]
    return list({id(config): config for config in configs}.values())


class _Call(NamedTuple):
    """The arguments of one call of an attention function."""

    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float | None
    kwargs: dict[str, Any]

    @property
    def causal(self) -> bool:
        """Whether no mask means a causal one."""
        causal = self.kwargs.get("is_causal")
        return getattr(self.module, "is_causal", True) if causal is None else causal

    @property
    def extra(self) -> dict[str, Any]:
        """What else may change the weights."""
        return {n: v for n, v in self.kwargs.items() if v is not None and n not in _NOT_KEPT}


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
    call = _changed_inputs(_Call(module, query, key, value, attention_mask, scaling, kwargs))
    _record(call)
    kwargs.pop("output_attentions", None)
    output, _ = sdpa_attention_forward(
        module, query, call.key, call.value, call.mask, dropout=dropout, scaling=scaling, **kwargs
    )
    return _changed_heads(output), None


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
    call = _changed_inputs(_Call(module, query, key, value, attention_mask, scaling, kwargs))
    _record(call)
    output, weights = family_eager(module)(
        module, query, call.key, call.value, call.mask, scaling=scaling, dropout=dropout, **kwargs
    )
    return _changed_heads(output), weights


class MadeMask(NamedTuple):
    """A mask of one run, and the rule that it was written out from."""

    mask: Tensor
    rule: Callable[..., Tensor]
    """Of a text, a head, a query's and a key's position: whether it may be read."""


_made_masks: ContextVar[list[MadeMask] | None] = ContextVar("made_masks", default=None)


@contextmanager
def keeping_masks() -> Iterator[list[MadeMask]]:
    """Collect the masks that transformers makes in this context, each written out in full."""
    made: list[MadeMask] = []
    token = _made_masks.set(made)
    try:
        yield made
    finally:
        _made_masks.reset(token)


def _fast_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    return _kept_mask(sdpa_mask, args, kwargs)


def _eager_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    return _kept_mask(eager_mask, args, kwargs)


def _kept_mask(make: Callable[..., Tensor | None], args: tuple, kwargs: dict) -> Tensor | None:
    made = _made_masks.get()
    if made is None:
        return make(*args, **kwargs)
    mask = make(*args, **{**kwargs, "allow_is_causal_skip": False})
    if mask is not None:
        made.append(MadeMask(mask, kwargs.get("mask_function", causal_mask_function)))
    return mask


# The mask function must carry the same name: an unknown one silently drops every mask.
AttentionInterface.register(FAST, _recorded_fast)
AttentionMaskInterface.register(FAST, _fast_mask)
AttentionInterface.register(EAGER, _recorded_eager)
AttentionMaskInterface.register(EAGER, _eager_mask)


def _changed_inputs(call: _Call) -> _Call:
    """The call with what this run's interventions do to keys, values and the mask of the layer."""
    current = current_recording()
    if current is None or not current.has_effects:
        return call
    key, value = call.key, call.value
    for effect in current.effects("key"):
        key = effect(key)
    for effect in current.effects("value"):
        value = effect(value)
    mask = NarrowedMask(call.mask, call.query, key, current.n_positions, call.causal)
    for narrow in current.effects("mask"):
        narrow(mask)
    return call._replace(key=key, value=value, mask=mask.tensor)


def _changed_heads(output: Tensor) -> Tensor:
    """The attention output [1, new, head, d_value] with what this run does to its heads."""
    current = current_recording()
    effects = () if current is None else current.effects("heads")
    for effect in effects:
        output = effect(output)
    return output


def _record(call: _Call) -> None:
    current = current_recording()
    if current is None or not current.layers:
        return
    calls = current.layers[-1].calls
    source = call.query.data_ptr()
    if calls and isinstance(calls[-1], RecordedAttention) and calls[-1].source == source:
        return  # the same query and key again (DiffLlama calls attention twice)
    # Keys that are not one per position (DeepSeek-V4 appends compressed ones) cannot be joined.
    n_query, n_keys = call.query.shape[2], call.key.shape[2]
    one_key_each = n_query < current.n_positions or n_query == n_keys
    if call.module in _WEIGHTS_AT_ONCE or not one_key_each:
        _add_weights(current, calls, call)
    else:
        calls.append(_kept(current, call))


def _kept(current: Recording, call: _Call) -> RecordedAttention:
    """What to keep of a call: the rows that are new."""
    n_query, mask = call.query.shape[2], call.mask
    n_kept = n_query if current.new_rows is None else min(current.new_rows, n_query)
    if mask is not None and n_kept < n_query and mask.shape[2] == n_query:
        mask = mask[:, :, -n_kept:].clone()
    return RecordedAttention(
        module=call.module,
        inputs=QueryKeyValue(*(current.rows(t, 2) for t in (call.query, call.key, call.value))),
        n_keys=call.key.shape[2],
        mask=mask,
        scaling=call.scaling,
        causal=call.causal,
        extra={
            name: current.rows(value, 2) if _is_per_query(value, n_query) else value
            for name, value in call.extra.items()
        },
        source=call.query.data_ptr(),
    )


def _is_per_query(value: Any, n_query: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[2] == n_query


def _add_weights(current: Recording, calls: list[AttentionCall], call: _Call) -> None:
    """Put the weights of a call beside those of the calls that its block made before."""
    whole = RecordedAttention(
        module=call.module,
        inputs=QueryKeyValue(call.query, call.key, call.value),
        n_keys=call.key.shape[2],
        mask=call.mask,
        scaling=call.scaling,
        causal=call.causal,
        extra=call.extra,
    )
    weights = current.rows(whole.weights_for(call.key)[None], 2)
    if calls:
        weights = torch.cat([calls.pop().weights()[None], weights], 1)
    calls.append(ReturnedWeights(weights))
