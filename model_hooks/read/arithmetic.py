"""One head's arithmetic, computed anew from its recorded queries, keys and values.

Kept apart from what the model did, so that a page can show both and their difference.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from model_hooks.model import HookedModel
from model_hooks.parts.neurons import output_rows
from model_hooks.read.patterns import readable_keys
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class QueryArithmetic:
    """How one query of one head reads all keys: softmax(q k^T scale) v.

    "Attention Is All You Need" (Vaswani et al. 2017), equation 1, one row of it.
    """

    query: Float[np.ndarray, "d_head"]
    keys: Float[np.ndarray, "pos d_head"]
    values: Float[np.ndarray, "pos d_value"]
    scale: float
    softcap: float | None
    readable: Bool[np.ndarray, "pos"]
    """False where the mask keeps the query from reading."""
    products: Float[np.ndarray, "pos"]
    """q · k of every key, masked ones included."""
    scores: Float[np.ndarray, "pos"]
    """Products times scale, under the softcap if there is one; -inf where masked."""
    weights: Float[np.ndarray, "pos"]
    """Softmax of the scores."""
    recorded: Float[np.ndarray, "pos"]
    """The weights that the model's own attention gives."""
    output: Float[np.ndarray, "d_value"]
    """The values, weighted by the recorded weights and summed: the head's output."""

    @property
    def difference(self) -> float:
        """Largest difference between the weights of the formula and the model's own."""
        return float(np.abs(self.weights - self.recorded).max())


@dataclass(frozen=True, eq=False)
class OutputProjection:
    """How one layer's heads are put back together: attn_out = sum of z_h W_h, plus bias."""

    path: str
    rows: Float[np.ndarray, "head d_value d_model"]
    """Each head's part of the output projection W_O."""
    bias: Float[np.ndarray, "d_model"] | None
    difference: float
    """Largest difference between that sum and the recorded attn_out, over all positions."""


def query_arithmetic(trace: Trace, layer: int, head: int, pos: int) -> QueryArithmetic | None:
    """Follow one query of one head; None if its query and key were not recorded."""
    recorded = trace.layers[layer]
    if recorded.query is None:
        return None
    kv_head = _kv_head(recorded.query, recorded.key, head)
    query, keys = recorded.query[head, pos], recorded.key[kv_head]
    pattern = trace.attention(layer, head)
    readable = readable_keys(pattern[None])[pos]
    products = keys @ query
    scores = products * recorded.scale
    if recorded.softcap:
        scores = recorded.softcap * np.tanh(scores / recorded.softcap)
    scores = np.where(readable, scores, -np.inf).astype(products.dtype)
    exponentials = np.exp(scores - scores.max())
    values = recorded.value[_kv_head(recorded.query, recorded.value, head)]
    return QueryArithmetic(
        query=query,
        keys=keys,
        values=values,
        scale=recorded.scale,
        softcap=recorded.softcap,
        readable=readable,
        products=products,
        scores=scores,
        weights=exponentials / exponentials.sum(),
        recorded=pattern[pos],
        output=pattern[pos] @ values,
    )


def output_projection(model: HookedModel, trace: Trace, layer: int) -> OutputProjection | None:
    """Find a layer's output projection and check it on this trace.

    Returns:
        None where queries, keys and values were not recorded, or where attn_out is more than one
        linear map of the heads' outputs (such as a norm after attention).
    """
    recorded, block = trace.layers[layer], model.anatomy.blocks[layer]
    if recorded.value is None or block.attention is None:
        return None
    n_heads = len(recorded.query)
    outputs = head_outputs(trace, layer)
    n_pos, d_value = outputs.shape[1:]
    joined = outputs.transpose(1, 0, 2).reshape(n_pos, -1)
    shape = (n_heads * d_value, recorded.attn_out.shape[-1])
    factor = block.attn_out.scale if block.attn_out else 1.0
    tolerance = 1e-3 if model.model.dtype == torch.float32 else 3e-2
    for path, module in reversed(list(block.attention.named_modules())):
        if getattr(module, "weight", None) is None or module.weight.ndim != 2:
            continue
        rows = output_rows(module)
        if tuple(rows.shape) != shape:
            continue
        rows = rows.detach().float().cpu().numpy() * factor
        bias = getattr(module, "bias", None)
        bias = None if bias is None else bias.detach().float().cpu().numpy() * factor
        total = joined @ rows if bias is None else joined @ rows + bias
        error = np.abs(total - recorded.attn_out).max()
        if error <= tolerance * np.abs(recorded.attn_out).max():
            return OutputProjection(
                path=f"{block.attention_path}.{path}",
                rows=rows.reshape(n_heads, d_value, -1),
                bias=bias,
                difference=float(error),
            )
    return None


def head_outputs(trace: Trace, layer: int) -> Float[np.ndarray, "head pos d_value"]:
    """Return each head's output: the values of all positions, weighted by attention."""
    recorded = trace.layers[layer]
    return np.stack(
        [
            trace.attention(layer, head)
            @ recorded.value[_kv_head(recorded.query, recorded.value, head)]
            for head in range(len(recorded.query))
        ]
    )


def value_norms(
    trace: Trace, layer: int, projection: OutputProjection
) -> Float[np.ndarray, "head pos"]:
    """Return how large each value is once it reaches the residual stream.

    The norm of f(x) = v W_O in Kobayashi et al., "Attention is Not Only a Weight" (2020), equation
    3: times the attention weight, it is the size of what a key adds to a query.
    """
    recorded = trace.layers[layer]
    return np.stack(
        [
            np.linalg.norm(recorded.value[_kv_head(recorded.query, recorded.value, head)] @ rows,
                           axis=-1)
            for head, rows in enumerate(projection.rows)
        ]
    )  # fmt: skip


def _kv_head(query: Float[np.ndarray, "head pos d"], shared: np.ndarray, head: int) -> int:
    """Which key or value head a query head uses: neighbours share one."""
    return head * len(shared) // len(query)
