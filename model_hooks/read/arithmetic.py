"""What does one head compute, worked out anew from its recorded query, keys and values?

Kept apart from what the model did, so that a page can show both and their difference.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import nn

from model_hooks.arrays import check_index, has_few_digits, read_only, to_array
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.neurons import output_rows
from model_hooks.read.patterns import readable_keys
from model_hooks.read.tail import after_softcap
from model_hooks.run.attention import kv_head_of
from model_hooks.run.trace import Trace


class HeadVectors(NamedTuple):
    """What one query head multiplies: its queries, and the keys and values that it reads."""

    query: Float[np.ndarray, "pos d_head"]
    key: Float[np.ndarray, "pos d_head"]
    value: Float[np.ndarray, "pos d_value"]
    scale: float
    """What the products of query and key are multiplied with."""
    softcap: float | None

    def scores(self, products: Float[np.ndarray, "*query key"]) -> Float[np.ndarray, "*query key"]:
        """Return the scores that products of query and key give, before any mask."""
        return after_softcap(products * self.scale, self.softcap)


def head_vectors(trace: Trace, layer: int, head: int) -> HeadVectors | None:
    """Return what one query head multiplies; None where a family keeps it to itself.

    Raises:
        LayerError: The trace lacks that layer, or the layer that head.
    """
    recorded = trace.layer_at(layer)
    query, key, value, scale = recorded.query, recorded.key, recorded.value, recorded.scale
    if query is None or key is None or value is None or scale is None:
        return None
    head = check_index("head", head, len(query), LayerError)
    keys, values = (shared[kv_head_of(head, len(query), len(shared))] for shared in (key, value))
    return HeadVectors(query[head], keys, values, scale, recorded.softcap)


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
    """Follow one query of one head; None if its query and key were not recorded.

    Raises:
        LayerError: The trace lacks that layer, or the layer that head, or it has no attention.
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    vectors = head_vectors(trace, layer, head)
    if vectors is None:
        return None
    pattern = trace.attention(layer, head)
    readable = readable_keys(pattern[None])[pos]
    query = vectors.query[pos]
    products = vectors.key @ query
    scores = np.where(readable, vectors.scores(products), -np.inf).astype(products.dtype)
    exponentials = np.exp(scores - scores.max())
    return QueryArithmetic(
        query=query,
        keys=vectors.key,
        values=vectors.value,
        scale=vectors.scale,
        softcap=vectors.softcap,
        readable=read_only(readable),
        products=read_only(products),
        scores=read_only(scores),
        weights=read_only(exponentials / exponentials.sum()),
        recorded=pattern[pos],
        output=read_only(pattern[pos] @ vectors.value),
    )


def output_projection(model: HookedModel, trace: Trace, layer: int) -> OutputProjection | None:
    """Find a layer's output projection and check it on this trace.

    Returns:
        None where queries, keys and values were not recorded, or where attn_out is more than one
        linear map of the heads' outputs (such as a norm after attention).

    Raises:
        LayerError: The trace lacks that layer.
    """
    recorded, block = trace.layer_at(layer), model.anatomy.blocks[layer]
    if recorded.value is None or block.attention is None:
        return None
    outputs = head_outputs(trace, layer)
    factor = block.attn_out.scale if block.attn_out else 1.0
    tolerance = 3e-2 if has_few_digits(model.info.dtype) else 1e-3
    largest = np.abs(recorded.attn_out).max()
    for path, module in reversed(list(block.attention.named_modules())):
        found = _as_projection(module, outputs, recorded.attn_out, factor)
        if found is not None and found.difference <= tolerance * largest:
            return replace(found, path=f"{block.attention_path}.{path}")
    return None


def _as_projection(
    module: nn.Module,
    outputs: Float[np.ndarray, "head pos d_value"],
    attn_out: Float[np.ndarray, "pos d_model"],
    factor: float,
) -> OutputProjection | None:
    """A module as what puts heads back together; None where its shape cannot be that."""
    weight: Any = getattr(module, "weight", None)
    if weight is None or weight.ndim != 2:
        return None
    n_heads, n_pos, d_value = outputs.shape
    rows = output_rows(module)
    if tuple(rows.shape) != (n_heads * d_value, attn_out.shape[-1]):
        return None
    rows = to_array(rows.detach().float()) * factor
    bias: Any = getattr(module, "bias", None)
    bias = None if bias is None else to_array(bias.detach().float()) * factor
    joined = outputs.transpose(1, 0, 2).reshape(n_pos, -1)
    total = joined @ rows if bias is None else joined @ rows + bias
    return OutputProjection(
        path="",
        rows=read_only(rows.reshape(n_heads, d_value, -1)),
        bias=None if bias is None else read_only(bias),
        difference=float(np.abs(total - attn_out).max()),
    )


def head_outputs(trace: Trace, layer: int) -> Float[np.ndarray, "head pos d_value"]:
    """Return each head's output: the values of all positions, weighted by attention.

    Raises:
        LayerError: Its values were not recorded.
    """
    outputs = [
        trace.attention(layer, head) @ vectors.value
        for head, vectors in enumerate(_each_head(trace, layer))
    ]
    return read_only(np.stack(outputs))


def value_norms(
    trace: Trace, layer: int, projection: OutputProjection
) -> Float[np.ndarray, "head pos"]:
    """Return how large each value is once it reaches the residual stream.

    The norm of f(x) = v W_O in Kobayashi et al., "Attention is Not Only a Weight" (2020), equation
    3: times the attention weight, it is the size of what a key adds to a query.

    Raises:
        LayerError: Its values were not recorded.
    """
    pairs = zip(_each_head(trace, layer), projection.rows, strict=True)
    return read_only(
        np.stack([np.linalg.norm(vectors.value @ rows, axis=-1) for vectors, rows in pairs])
    )


def _each_head(trace: Trace, layer: int) -> list[HeadVectors]:
    query = trace.layer_at(layer).query
    found = [head_vectors(trace, layer, head) for head in range(0 if query is None else len(query))]
    vectors = [one for one in found if one is not None]
    if not vectors:
        raise LayerError(f"Queries, keys and values of layer {layer} were not recorded.")
    return vectors
