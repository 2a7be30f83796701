"""How do the records of successive forward passes become one array per part of a layer?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_hooks.arrays import read_only, to_array
from model_hooks.errors import LayerError
from model_hooks.run.capture import LayerRecord


class Parts(NamedTuple):
    """The residual stream of one layer, and what its halves added."""

    resid_pre: Float[np.ndarray, "pos d_model"]
    attn_out: Float[np.ndarray, "pos d_model"]
    resid_mid: Float[np.ndarray, "pos d_model"] | None
    """None where it is the sum of what came in and what attention added."""
    mlp_out: Float[np.ndarray, "pos d_model"]
    resid_post: Float[np.ndarray, "pos d_model"]


def parts_of(index: int, records: Sequence[LayerRecord]) -> Parts:
    """Return what successive forward passes recorded of the stream in one layer.

    Raises:
        LayerError: It did not run to its end.
    """
    pre, post = _rows([r.resid_pre for r in records]), _rows([r.resid_post for r in records])
    attn, mid = _rows([r.attn_out for r in records]), _rows([r.resid_mid for r in records])
    mlp = _rows([r.mlp_out for r in records])
    if pre is None or post is None:
        raise LayerError(f"Layer {index} did not run to its end, so nothing of it was recorded.")
    if attn is None:
        attn = np.zeros_like(pre) if mid is None else mid - pre
    if mlp is None:
        mlp = post - (pre + attn if mid is None else mid)
    return Parts(pre, read_only(attn), mid, read_only(mlp), post)


def _rows(tensors: Sequence[Tensor | None]) -> Float[np.ndarray, "pos d"] | None:
    there = [tensor for tensor in tensors if tensor is not None]
    if len(there) < len(tensors):
        return None
    return to_array(there[0] if len(there) == 1 else torch.cat(there, 0))


def joined_heads(tensors: Sequence[Tensor]) -> Float[np.ndarray, "head pos d_head"]:
    """Return queries, keys or values of successive passes, [1, head, new, d_head] each, as one."""
    return to_array((tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), 2))[0])
