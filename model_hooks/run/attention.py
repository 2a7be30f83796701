"""Attention weights, computed from a recorded query and key when somebody looks at them.

The family's own `eager_attention_forward` does it, so that softcaps, sinks and position biases
come out as the model means them. Knows nothing of hooks.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What one attention layer was called with, for the positions that were new.

    `query` is [1, head, new, d_head], `key` and `value` [1, kv_head, new, d_head]; the call saw
    `n_keys` keys, the earlier ones are in the calls before it. Families outside transformers'
    attention interface hand out only their `weights` [1, head, new, n_keys].
    """

    module: nn.Module | None = None
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    mask: Tensor | None = None
    scaling: float | None = None
    causal: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    n_keys: int = 0
    source: int = 0
    weights: Tensor | None = None

    @classmethod
    def from_weights(cls, weights: Tensor) -> "AttentionCall":
        """Wrap weights that the model returned itself."""
        return cls(weights=weights, n_keys=weights.shape[-1])

    @property
    def n_rows(self) -> int:
        """Number of query positions."""
        return (self.query if self.weights is None else self.weights).shape[2]

    def shortened(self, length: int) -> "AttentionCall | None":
        """Return the call for its first `length` positions, or None if it cannot be cut.

        It can if it saw no earlier keys and carries nothing that is shaped by the positions.
        """
        if self.n_keys != self.n_rows:
            return None
        if self.weights is not None:
            return AttentionCall.from_weights(self.weights[:, :, :length, :length])
        if any(isinstance(value, Tensor) and value.ndim > 1 for value in self.extra.values()):
            return None
        return replace(
            self,
            query=self.query[:, :, :length],
            key=self.key[:, :, :length],
            value=self.value[:, :, :length],
            mask=None if self.mask is None else self.mask[:, :, :length, :length],
            n_keys=length,
        )


def family_eager(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the `eager_attention_forward` of the file that defines the attention module."""
    for cls in type(module).__mro__:
        function = getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None)
        if function is not None:
            return function
    raise LookupError(f"no eager_attention_forward for {type(module).__name__}")


@torch.inference_mode()
def attention_weights(call: AttentionCall, keys: Tensor | None) -> Tensor:
    """Return the weights of one call, [head, new, n_keys].

    Args:
        call: The recorded call.
        keys: All keys it saw, [1, kv_head, n_keys, d_head].
    """
    if call.weights is not None:
        return call.weights[0]
    mask = _additive(_mask(call, keys.shape[2]), call.query.dtype)
    # The value plays no part in the weights; one column keeps the product cheap.
    dummy = keys[..., :1]
    _, weights = family_eager(call.module)(
        call.module, call.query, keys, dummy, mask, scaling=call.scaling, dropout=0.0, **call.extra
    )
    return weights[0]


@torch.inference_mode()
def head_weights(call: AttentionCall, keys: Tensor | None, head: int) -> Tensor:
    """Return the weights of one head, [new, n_keys]; cheap where the plain formula holds.

    softmax(q k^T scale + mask), "Attention Is All You Need" (Vaswani et al. 2017), equation 1.
    Anything beyond it (softcap, sinks, bias) goes through the family's function.
    """
    if call.weights is not None or not is_plain(call):
        return attention_weights(call, keys)[head]
    query = call.query[0, head]
    key = keys[0, head * keys.shape[1] // call.query.shape[1]]
    scale = query.shape[-1] ** -0.5 if call.scaling is None else call.scaling
    scores = query @ key.T * scale
    mask = _additive(_mask(call, keys.shape[2]), scores.dtype)
    scores = scores + mask[0, head if mask.shape[1] > 1 else 0]
    return torch.softmax(scores, -1, dtype=torch.float32).to(scores.dtype)


def readable_pairs(call: AttentionCall) -> Tensor:
    """Return which keys the mask let each query read in any head, booleans [new, n_keys].

    A family that hands out its weights alone shows it by them: softmax gives every key that may be
    read more than zero.
    """
    if call.weights is not None:
        return (call.weights[0] > 0).any(0)
    mask = _mask(call, call.n_keys)
    allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return allowed[0].any(0)


def is_plain(call: AttentionCall) -> bool:
    """Whether the call was nothing but scaled dot products under a mask (verified on a probe)."""
    return getattr(call.module, "inlook_plain_attention", False)


def _mask(call: AttentionCall, n_keys: int) -> Tensor:
    """The call's mask, [1, 1 or head, new, n_keys]; causal where the fast path got none."""
    n_query = call.query.shape[2]
    if call.mask is not None:
        return call.mask[..., -n_query:, :n_keys]
    allowed = torch.ones(n_query, n_keys, dtype=torch.bool, device=call.query.device)
    if call.causal:
        allowed = allowed.tril(n_keys - n_query)
    return allowed[None, None]


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask (True = may attend) as the summand that eager attention expects."""
    if mask.dtype != torch.bool:
        return mask
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest)
