"""How are the weights of a long text had without touching what may not be read? Row by row.

Blocks of queries are compared with the keys that some of them may read, in scratch that stays in
the processor's cache, one head after the other. What no query may read costs nothing: memory that
is never written to is never handed out.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from model_hooks.run import masks

N_ROWS = 128
"""Queries in a block."""


@torch.inference_mode()
def weights_in_blocks(
    query: Float[Tensor, "head new d_head"],
    keys: Sequence[Float[Tensor, "key d_head"]],
    scale: float,
    mask: Tensor | None,
) -> Float[Tensor, "head new key"]:
    """Return softmax(q k^T scale + mask) of some heads ("Attention Is All You Need", equation 1).

    Equal bit for bit to the formula in one piece where the scale is a power of two and products
    are summed alike, else within 1.5e-6.

    Args:
        query: Of each head.
        keys: What each of these heads reads.
        scale: What products are multiplied with.
        mask: As in `masks`, of these queries and heads; None is a causal one, with the last query
            at the last key.
    """
    n_heads, n_new, _ = query.shape
    n_keys = len(keys[0])
    weights = torch.zeros(n_heads, n_new, n_keys, dtype=query.dtype, device=query.device)
    scratch = torch.empty(N_ROWS * n_keys, dtype=query.dtype, device=query.device)
    later = torch.ones(N_ROWS, N_ROWS, dtype=torch.bool, device=query.device).triu(1)
    allowed: list[Tensor] = [] if mask is None else [masks.allowed_by(one) for one in mask[0]]
    for head, key in enumerate(keys):
        scaled, turned = (query[head] * scale).contiguous(), key.contiguous().T
        for start in range(0, n_new, N_ROWS):
            end = min(start + N_ROWS, n_new)
            first, last = 0, n_keys - n_new + end
            if mask is not None:
                first, last = _columns(allowed[min(head, len(allowed) - 1)][start:end])
            block = scratch[: (end - start) * (last - first)].view(end - start, last - first)
            torch.mm(scaled[start:end], turned[:, first:last], out=block)
            if mask is None:
                block[:, start - end :].masked_fill_(later[: end - start, : end - start], -math.inf)
            else:
                own = mask[0, min(head, mask.shape[1] - 1)]
                block += masks.additive(own[start:end, first:last], query.dtype)
            torch.softmax(block, -1, out=block)
            weights[head, start:end, first:last] = block
    return weights


def _columns(allowed: Tensor) -> tuple[int, int]:
    """Return the first key that some query may read, and the one after the last.

    A query that may read none is given all of them, as the softmax of equal numbers gives it.
    """
    if not bool(allowed.any(1).all()):
        return 0, allowed.shape[1]
    read = allowed.any(0).nonzero()
    return int(read[0]), int(read[-1]) + 1
