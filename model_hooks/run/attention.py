"""What did attention read? Weights, computed from a recorded query and key when somebody looks.

The family's own `eager_attention_forward` does it, so that softcaps, sinks and position biases
come out as the model means them. Knows nothing of hooks.
"""

import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from model_hooks.run import masks
from model_hooks.run.row_blocks import weights_in_blocks

IN_BLOCKS_FROM = 256
"""From so many keys on, weights are computed in blocks of rows where the plain formula holds."""

_PLAIN: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Attention modules that do nothing but scaled dot products under a mask, tried on a probe."""
_ROW_BY_ROW: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Attention modules where some queries alone get the weights that they get among all, tried too."""


def kv_head_of(head: int, n_heads: int, n_kv_heads: int) -> int:
    """Return the KV head whose key and value a query head reads: neighbours share one."""
    return head * n_kv_heads // n_heads


class QueryKeyValue(NamedTuple):
    """What an attention layer compared and mixed, of the positions that were new."""

    query: Float[Tensor, "1 head new d_head"]
    key: Float[Tensor, "1 kv_head new d_head"]
    value: Float[Tensor, "1 kv_head new d_value"]


@dataclass(frozen=True, eq=False)
class RecordedAttention:
    """What one attention layer was called with, through transformers' attention interface.

    It saw `n_keys` keys; those of earlier positions are in the calls before it.
    """

    module: nn.Module
    inputs: QueryKeyValue
    n_keys: int
    mask: Tensor | None = None
    """Boolean or additive, as in `masks`."""
    scaling: float | None = None
    """None is one over the root of d_head."""
    causal: bool = True
    """Whether no mask means a causal one."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What else the family's attention function takes."""
    source: int = 0
    """Tells a second call with the same query."""

    @property
    def n_rows(self) -> int:
        """Number of query positions."""
        return self.inputs.query.shape[2]

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.inputs.query.shape[1]

    @property
    def scale(self) -> float:
        """What the products of query and key are multiplied with."""
        d_head = self.inputs.query.shape[-1]
        return d_head**-0.5 if self.scaling is None else float(self.scaling)

    @property
    def softcap(self) -> float | None:
        """The bound that scores are squeezed under (Gemma 2), or None."""
        return self.extra.get("softcap")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What it holds for every position."""
        return tuple(self.inputs)

    def weights(self, earlier: "Sequence[AttentionCall]" = ()) -> Float[Tensor, "head new key"]:
        """Return the weights of all heads; `earlier` calls hold the earlier keys."""
        keys = self._all_keys(earlier)
        if self._can_be_blocked(keys):
            return self._in_blocks(keys, range(self.n_heads))
        return self.weights_for(keys)

    def head_weights(
        self, head: int, earlier: "Sequence[AttentionCall]" = ()
    ) -> Float[Tensor, "new key"]:
        """Return the weights of one head; cheap where the plain formula holds."""
        keys = self._all_keys(earlier)
        if self.module not in _PLAIN:
            return self.weights_for(keys)[head]
        if self._can_be_blocked(keys):
            return self._in_blocks(keys, [head])[0]
        return self.formula(keys, head)

    def row_weights(
        self, rows: range, earlier: "Sequence[AttentionCall]" = (), head: int | None = None
    ) -> Float[Tensor, "head row key"]:
        """Return the weights of some of the new queries; cheap where they can be computed alone.

        With `head`, of that one alone.
        """
        keys = self._all_keys(earlier)
        heads = range(self.n_heads) if head is None else range(head, head + 1)
        if self._can_be_blocked(keys):
            return self.rows_alone(rows)._in_blocks(keys, heads)
        if self.module not in _ROW_BY_ROW:
            found = self.weights_for(keys)[:, rows.start : rows.stop]
        else:
            found = self.rows_alone(rows).weights_for(keys)
        return found[heads.start : heads.stop]

    def rows_alone(self, rows: range) -> "RecordedAttention":
        """Return the call with some of its queries only."""
        query = self.inputs.query
        told = query.shape[2], self.n_keys, self.causal, query.device
        return replace(
            self,
            inputs=self.inputs._replace(query=query[:, :, rows.start : rows.stop]),
            mask=masks.rows_of(self.mask, rows, *told),
        )

    @torch.inference_mode()
    def weights_for(self, keys: Float[Tensor, "1 kv_head key d_head"]) -> Tensor:
        """Return what the family's own function makes of all keys, [head, new, key]."""
        query = self.inputs.query
        mask = masks.additive(self._explicit_mask(keys.shape[2]), query.dtype)
        # The value plays no part in the weights; one column keeps the product cheap.
        dummy = keys[..., :1]
        _, weights = family_eager(self.module)(
            self.module, query, keys, dummy, mask, scaling=self.scaling, dropout=0.0, **self.extra
        )
        return weights[0]

    @torch.inference_mode()
    def formula(self, keys: Float[Tensor, "1 kv_head key d_head"], head: int) -> Tensor:
        """Return softmax(q k^T scale + mask) of one head, [new, key].

        "Attention Is All You Need" (Vaswani et al. 2017), equation 1. Anything beyond it (softcap,
        sinks, bias) is left out.
        """
        query = self.inputs.query[0, head]
        key = keys[0, kv_head_of(head, self.n_heads, keys.shape[1])]
        scores = query @ key.T * self.scale
        mask = masks.additive(self._explicit_mask(keys.shape[2]), scores.dtype)
        scores = scores + mask[0, head if mask.shape[1] > 1 else 0]
        return torch.softmax(scores, -1, dtype=torch.float32).to(scores.dtype)

    def _can_be_blocked(self, keys: Tensor) -> bool:
        known = self.module in _PLAIN and self.inputs.query.dtype == torch.float32
        return known and keys.shape[2] >= IN_BLOCKS_FROM

    def _in_blocks(self, keys: Tensor, heads: Sequence[int]) -> Float[Tensor, "head new key"]:
        query, n_kv_heads = self.inputs.query[0], keys.shape[1]
        causal = self.mask is None and self.causal and keys.shape[2] >= len(query[0])
        mask = None if causal else self._explicit_mask(keys.shape[2])
        if mask is not None:
            mask = mask.expand(-1, -1, len(query[0]), -1)
            mask = mask[:, list(heads)] if mask.shape[1] > 1 else mask
        read = [keys[0, kv_head_of(head, self.n_heads, n_kv_heads)] for head in heads]
        return weights_in_blocks(query[list(heads)], read, self.scale, mask)

    @property
    def mask_id(self) -> int:
        """Equal for calls of one run that were given the same mask."""
        return hash((self.causal, self.n_rows, self.n_keys, id(self.mask)))

    def readable(self, rows: range | None = None) -> Bool[Tensor, "row key"]:
        """Return which keys the mask let each query, or some of them, read in any head."""
        call = self if rows is None else self.rows_alone(rows)
        return masks.allowed_by(call._explicit_mask(self.n_keys))[0].any(0)

    def shortened(self, length: int) -> "RecordedAttention | None":
        """Return the call for its first `length` positions, or None if it cannot be cut.

        It can if it saw no earlier keys and carries nothing that is shaped by the positions.
        """
        shaped = (value for value in self.extra.values() if isinstance(value, Tensor))
        if self.n_keys != self.n_rows or any(value.ndim > 1 for value in shaped):
            return None
        return replace(
            self,
            inputs=QueryKeyValue(*(tensor[:, :, :length] for tensor in self.inputs)),
            mask=None if self.mask is None else self.mask[:, :, :length, :length],
            n_keys=length,
        )

    def _all_keys(self, earlier: "Sequence[AttentionCall]") -> Tensor:
        own = self.inputs.key
        if self.n_keys == own.shape[2]:
            return own
        keys = [call.inputs.key for call in earlier if call.inputs is not None]
        return torch.cat([*keys, own], 2)[:, :, -self.n_keys :]

    def _explicit_mask(self, n_keys: int) -> Tensor:
        query = self.inputs.query
        n_query = query.shape[2]
        if self.mask is not None:
            return self.mask[..., -n_query:, :n_keys]
        return masks.explicit(None, n_query, n_keys, self.causal, query.device)


@dataclass(frozen=True, eq=False)
class ReturnedWeights:
    """The weights of one attention layer, as a family outside the interface returned them."""

    tensor: Float[Tensor, "1 head new key"]
    inputs: None = None
    """Query, key and value stay inside such a family."""
    scale: float | None = None
    softcap: float | None = None

    @property
    def n_rows(self) -> int:
        """Number of query positions."""
        return self.tensor.shape[2]

    @property
    def n_keys(self) -> int:
        """Number of keys that they could read, the earlier ones included."""
        return self.tensor.shape[3]

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.tensor.shape[1]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What it holds for every position."""
        return (self.tensor,)

    def weights(self, earlier: "Sequence[AttentionCall]" = ()) -> Float[Tensor, "head new key"]:
        """Return the weights of all heads."""
        return self.tensor[0]

    def head_weights(
        self, head: int, earlier: "Sequence[AttentionCall]" = ()
    ) -> Float[Tensor, "new key"]:
        """Return the weights of one head."""
        return self.tensor[0, head]

    def row_weights(
        self, rows: range, earlier: "Sequence[AttentionCall]" = (), head: int | None = None
    ) -> Float[Tensor, "head row key"]:
        """Return the weights of some of the new queries, in all heads or in one."""
        heads = slice(None) if head is None else slice(head, head + 1)
        return self.tensor[0, heads, rows.start : rows.stop]

    @property
    def mask_id(self) -> int:
        """Equal for calls that were given the same mask: of these, nothing is known."""
        return id(self.tensor)

    def readable(self, rows: range | None = None) -> Bool[Tensor, "row key"]:
        """Return which keys each query, or some of them, read in any head.

        Softmax gives every key that may be read more than zero.
        """
        rows = range(self.n_rows) if rows is None else rows
        return (self.tensor[0, :, rows.start : rows.stop] > 0).any(0)

    def shortened(self, length: int) -> "ReturnedWeights | None":
        """Return the weights of the first `length` positions, or None if it saw earlier keys."""
        if self.n_keys != self.n_rows:
            return None
        return ReturnedWeights(self.tensor[:, :, :length, :length])


AttentionCall = RecordedAttention | ReturnedWeights
"""What is known of one attention layer in one run, for the positions that were new to it."""


def family_eager(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the `eager_attention_forward` of the file that defines the attention module."""
    for cls in type(module).__mro__:
        function = getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None)
        if function is not None:
            return function
    raise LookupError(f"no eager_attention_forward for {type(module).__name__}")


def learn_formula(call: RecordedAttention) -> None:
    """Find out on one call how its module's weights may be computed.

    By the plain formula, which makes one head cheap; query by query, which makes a row cheap.

    Raises:
        LookupError: The family has no attention function of its own to compare with.
    """
    keys = call.inputs.key
    exact = call.weights_for(keys)
    plain = torch.stack([call.formula(keys, head) for head in range(len(exact))])
    if plain.shape == exact.shape and torch.allclose(plain, exact, atol=1e-6):
        _PLAIN.add(call.module)
    with suppress(Exception):  # a bias with a row per query, or whatever else has one
        each = (call.rows_alone(range(i, i + 1)) for i in range(call.n_rows))
        alone = torch.cat([one.weights_for(keys) for one in each], 1)
        if alone.shape == exact.shape and torch.allclose(alone, exact, atol=1e-6):
            _ROW_BY_ROW.add(call.module)
