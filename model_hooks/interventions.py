"""Interventions: values that say what to switch off in a run, and what they do to its tensors.

They are passed to `trace` and `start`, act inside the recording attention and the hooks of that
one run, and so never reach another one. Knows nothing of hooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
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


Intervention = AblateHead | AblateAttention | AblateMLP | Knockout


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
    if mask is None:
        mask = torch.ones(1, 1, n_query, n_keys, dtype=torch.bool, device=query.device)
        if causal:
            mask = mask.tril(n_keys - n_query)
    n_heads = query.shape[1] if any(head is not None for head, _, _ in cells) else mask.shape[1]
    edited = mask.expand(-1, n_heads, -1, -1).clone()
    blocked = False if edited.dtype == torch.bool else torch.finfo(edited.dtype).min
    for head, row, column in cells:
        edited[:, slice(None) if head is None else head, row, column] = blocked
    return edited


def without_heads(output: Tensor, heads: Sequence[int]) -> Tensor:
    """Return an attention output [1, new, head, d_value] with some heads set to zero."""
    edited = output.clone()
    edited[:, :, list(heads)] = 0
    return edited
