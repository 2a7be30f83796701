"""Interventions: values that say what to change in a run, and what they do to its tensors.

They are passed to `trace` and `start`, act inside the recording attention and the hooks of that
one run, and so never reach another one. Knows nothing of hooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from model_hooks.errors import InterventionError
from model_hooks.info import ModelInfo


@dataclass(frozen=True)
class AblateHead:
    """Set one head's output to zero, so that it adds nothing to the residual stream."""

    layer: int
    head: int


@dataclass(frozen=True)
class AblateAttention:
    """Let the attention of one layer add nothing to the residual stream."""

    layer: int


@dataclass(frozen=True)
class AblateMLP:
    """Let the feedforward of one layer add nothing to the residual stream."""

    layer: int


@dataclass(frozen=True)
class Knockout:
    """Keep one query position from reading one key position, in one layer or head or in all.

    The remaining weights of that row are rescaled by the softmax (attention knockout, Geva et al.
    2023, "Dissecting Recall of Factual Associations", section 4).
    """

    query: int
    key: int
    layer: int | None = None
    head: int | None = None


PatternKind = Literal["full", "window", "window_first", "strided", "block"]
Positions = TypeVar("Positions", np.ndarray, Tensor)


@dataclass(frozen=True)
class AttentionPattern:
    """Let each position read only some of the earlier ones: local or sparse attention.

    A query i may read a key j <= i where

    - `full`: always;
    - `window`: i - j < window (sliding window; Beltagy et al. 2020, "Longformer", section 3.1);
    - `window_first`: i - j < window or j < n_first (attention sinks; Xiao et al. 2023, "Efficient
      Streaming Language Models with Attention Sinks", section 3.2);
    - `strided`: i - j < window or (i - j) mod stride = 0 (Child et al. 2019, "Generating Long
      Sequences with Sparse Transformers", section 4.3, both of its heads' keys in one);
    - `block`: i and j lie in the same block of `window` positions.

    It only takes away: what the model's own mask forbids stays forbidden. Positions keep their
    numbers, so position encodings do not change.

    Raises:
        InterventionError: A size is out of its range.
    """

    kind: PatternKind
    window: int = 1
    """Positions in a window, the query's own included; in a block, its length."""
    n_first: int = 0
    stride: int = 1
    layers: tuple[int, ...] | None = None
    """None is every layer that has attention."""

    def __post_init__(self) -> None:
        _freeze_layers(self)
        if self.kind not in get_args(PatternKind):
            raise InterventionError(
                f"There is no attention pattern {self.kind!r}: choose one of "
                f"{', '.join(get_args(PatternKind))}."
            )
        if self.kind != "full" and self.window < 1:
            raise InterventionError(
                f"With a window of {self.window}, a token could not even read itself: "
                "choose 1 or more."
            )
        if self.kind == "window_first" and self.n_first < 0:
            raise InterventionError(
                f"{self.n_first} first tokens cannot be kept: choose 0 or more."
            )
        if self.kind == "strided" and self.stride < 1:
            raise InterventionError(f"A stride of {self.stride} leads nowhere: choose 1 or more.")

    def lets_read(self, query: Positions, key: Positions) -> Positions:
        """Return which keys each query may read, as booleans.

        Args:
            query: Positions of queries, such as [query, 1].
            key: Positions of keys, such as [1, key].
        """
        near = query - key < self.window
        allowed = {
            "full": lambda: key == key,
            "window": lambda: near,
            "window_first": lambda: near | (key < self.n_first),
            "strided": lambda: near | ((query - key) % self.stride == 0),
            "block": lambda: query // self.window == key // self.window,
        }[self.kind]()
        return (key <= query) & allowed

    def readable(self, n_positions: int) -> Bool[np.ndarray, "pos pos"]:
        """Return which keys (columns) each query (row) of a text may read."""
        positions = np.arange(n_positions)
        return self.lets_read(positions[:, None], positions)

    def n_cached(self, n_positions: int, own_window: int | None = None) -> int:
        """Return how many of the first `n_positions` keys any later query may read.

        Args:
            n_positions: Length of the text so far.
            own_window: The layer's own sliding window, if it has one.
        """
        n_later = self.stride if self.kind == "strided" else 1  # in the others, the next reads most
        later = np.arange(n_positions, n_positions + n_later)[:, None]
        keys = np.arange(n_positions)
        readable = self.lets_read(later, keys)
        if own_window is not None:
            readable = readable & (later - keys < own_window)
        return int(readable.any(0).sum())


@dataclass(frozen=True)
class ShareKVHeads:
    """Let neighbouring KV heads share one key and one value, their mean.

    Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
    Checkpoints", section 2.1, pool the projection matrices; the mean of the keys and values is the
    same wherever those are linear in the weights. Where a norm follows the projection (Qwen 3,
    Gemma 3), what is pooled here are the normalised keys.

    Raises:
        InterventionError: There would be no group.
    """

    n_groups: int
    layers: tuple[int, ...] | None = None
    """None is every layer that has attention."""

    def __post_init__(self) -> None:
        _freeze_layers(self)
        if self.n_groups < 1:
            raise InterventionError(f"{self.n_groups} groups hold no KV head: choose 1 or more.")


Intervention = AblateHead | AblateAttention | AblateMLP | Knockout | AttentionPattern | ShareKVHeads
InsideAttention = AblateHead | Knockout | AttentionPattern | ShareKVHeads
"""Those that act between a layer's queries, keys and values and its output projection."""


def acts_in(intervention: Intervention, layer: int) -> bool:
    """Tell whether an intervention changes anything in a layer."""
    if isinstance(intervention, AttentionPattern | ShareKVHeads):
        return intervention.layers is None or layer in intervention.layers
    return intervention.layer in (None, layer)


def kv_group_choices(n_kv_heads: int) -> tuple[int, ...]:
    """Return into how many groups of one size KV heads can be put."""
    return tuple(n for n in range(1, n_kv_heads + 1) if n_kv_heads % n == 0)


def check_interventions(interventions: Sequence[Intervention], info: ModelInfo) -> None:
    """Refuse what this model lacks.

    Raises:
        InterventionError: A layer, head or position that is not there, or one that attention
            never reads anyway.
    """
    for intervention in interventions:
        layer, head = getattr(intervention, "layer", None), getattr(intervention, "head", None)
        if layer is not None and not 0 <= layer < info.n_layers:
            raise InterventionError(
                f"There is no layer {layer} to switch off: this model's run from 0 to "
                f"{info.n_layers - 1}."
            )
        if head is not None and not 0 <= head < info.n_heads:
            raise InterventionError(
                f"There is no head {head} to switch off: this model's run from 0 to "
                f"{info.n_heads - 1}."
            )
        if isinstance(intervention, Knockout) and not 0 <= intervention.key < intervention.query:
            raise InterventionError(
                f"Position {intervention.query} cannot be cut off from position "
                f"{intervention.key}: choose an earlier one, the token's own excluded."
            )
        for layer in getattr(intervention, "layers", None) or ():
            if not 0 <= layer < info.n_layers:
                raise InterventionError(
                    f"There is no layer {layer} to change: this model's run from 0 to "
                    f"{info.n_layers - 1}."
                )
            if layer not in info.attention_layers:
                raise InterventionError(
                    f"Layer {layer} has no attention: it mixes positions in another way."
                )
        if isinstance(intervention, ShareKVHeads):
            _check_groups(intervention.n_groups, info.n_kv_heads)


def _check_groups(n_groups: int, n_kv_heads: int) -> None:
    choices = kv_group_choices(n_kv_heads)
    if n_groups not in choices:
        heads = "KV head" if n_kv_heads == 1 else "KV heads"
        raise InterventionError(
            f"{n_kv_heads} {heads} cannot be put into {n_groups} groups of one size: choose "
            f"{' or '.join(map(str, choices))}."
        )


def _freeze_layers(intervention: "AttentionPattern | ShareKVHeads") -> None:
    """Take any sequence of layers; a tuple can be compared and hashed."""
    if intervention.layers is not None:
        object.__setattr__(intervention, "layers", tuple(int(i) for i in intervention.layers))


def without_knocked_out(
    knockouts: Sequence[Knockout],
    mask: Tensor | None,
    query: Tensor,
    key: Tensor,
    end: int,
    causal: bool,
) -> Tensor | None:
    """Return the attention mask with the knocked out pairs masked too.

    Args:
        knockouts: Those of this layer.
        mask: Boolean (True = may attend) or additive, [1, 1 or head, new, n_keys]; None for plain
            causal attention.
        query: [1, head, new, d_head].
        key: [1, kv_head, n_keys, d_head].
        end: The position after the last query.
        causal: Whether no mask means a causal one.
    """
    n_query, n_keys = query.shape[2], key.shape[2]
    cells = [
        (knockout.head, knockout.query - (end - n_query), knockout.key - (end - n_keys))
        for knockout in knockouts
    ]
    cells = [cell for cell in cells if 0 <= cell[1] < n_query and 0 <= cell[2] < n_keys]
    if not cells:
        return mask
    mask = _explicit(mask, query, key, causal)
    n_heads = query.shape[1] if any(head is not None for head, _, _ in cells) else mask.shape[1]
    edited = mask.expand(-1, n_heads, -1, -1).clone()
    for head, row, column in cells:
        edited[:, slice(None) if head is None else head, row, column] = _blocked(edited)
    return edited


def within_patterns(
    patterns: Sequence[AttentionPattern],
    mask: Tensor | None,
    query: Tensor,
    key: Tensor,
    end: int,
    causal: bool,
) -> Tensor | None:
    """Return the attention mask with all pairs masked too that a pattern takes away.

    Args and shapes as in `without_knocked_out`. Fewer keys than positions are the last ones: so a
    KV cache of a sliding-window layer hands them over.

    Raises:
        InterventionError: The keys are not one per position.
    """
    n_query, n_keys = query.shape[2], key.shape[2]
    if max(n_query, n_keys) > end:
        raise InterventionError(
            "This model's keys are not one per token, so no pattern of tokens can be laid over "
            "its attention."
        )
    rows = torch.arange(end - n_query, end, device=query.device)[:, None]
    columns = torch.arange(end - n_keys, end, device=query.device)
    readable = columns <= rows
    kept = readable
    for pattern in patterns:
        kept = kept & pattern.lets_read(rows, columns)
    if torch.equal(kept, readable):
        return mask
    mask = _explicit(mask, query, key, causal)
    if mask.dtype == torch.bool:
        return mask[..., :n_keys] & kept
    return mask[..., :n_keys].masked_fill(~kept, _blocked(mask))


def with_shared_heads(n_groups: int, heads: Tensor) -> Tensor:
    """Return keys or values [1, kv_head, n_keys, d], each head replaced by its group's mean.

    Raises:
        InterventionError: The heads do not make that many groups of one size.
    """
    n_heads = heads.shape[1]
    _check_groups(n_groups, n_heads)
    grouped = heads.unflatten(1, (n_groups, n_heads // n_groups))
    return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1, 2)


def _explicit(mask: Tensor | None, query: Tensor, key: Tensor, causal: bool) -> Tensor:
    """The mask, written out where none stands for a causal one."""
    if mask is not None:
        return mask
    n_query, n_keys = query.shape[2], key.shape[2]
    mask = torch.ones(1, 1, n_query, n_keys, dtype=torch.bool, device=query.device)
    return mask.tril(n_keys - n_query) if causal else mask


def _blocked(mask: Tensor) -> bool | float:
    return False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min


def without_heads(output: Tensor, heads: Sequence[int]) -> Tensor:
    """Return an attention output [1, new, head, d_value] with some heads set to zero."""
    edited = output.clone()
    edited[:, :, list(heads)] = 0
    return edited
