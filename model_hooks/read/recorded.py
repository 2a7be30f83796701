"""What is a model, how does it read a text, and what did one run record? As plain values."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from model_hooks.arrays import check_count, check_index, read_only, softmax
from model_hooks.errors import LayerError, PromptError
from model_hooks.info import ModelInfo
from model_hooks.model import HookedModel
from model_hooks.parts.abilities import Abilities
from model_hooks.read.patterns import largest_of_blocks, mean_over_heads
from model_hooks.run.prompts import NO_TOKENS
from model_hooks.run.routing import Routing
from model_hooks.run.trace import Trace

PARTS = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
"""What a run records of every layer's residual stream, in the order in which it comes about."""
ADDED_UP_FROM = 512
"""From this many tokens on, heads are added up one at a time: together they fill memory."""


def info_of(model: HookedModel) -> ModelInfo:
    """Return a model's sizes."""
    return model.info


def abilities_of(model: HookedModel) -> Abilities:
    """Return what can be asked of a model."""
    return model.abilities


def routing_of(model: HookedModel, trace: Trace) -> tuple[Routing | None, ...]:
    """Return which experts each layer's router chose; None where there is no router."""
    return model.routing(trace)


def tokenizer_name(model: HookedModel) -> str:
    """Return the name of the tokenizer's class."""
    return type(model.tokenizer).__name__


def bytes_of_tokens(model: HookedModel, token_ids: Sequence[int]) -> tuple[bytes, ...]:
    """Return the UTF-8 bytes that each token adds to a text."""
    return model.text.pieces.of_text(token_ids)


def encode(model: HookedModel, text: str) -> tuple[int, ...]:
    """Return the token IDs of a text, with special tokens as the tokenizer's default is.

    Raises:
        PromptError: The text is not empty, and becomes no token.
    """
    token_ids = tuple(int(token_id) for token_id in model.encode(text))
    if text and not token_ids:
        raise PromptError(NO_TOKENS)
    return token_ids


def tokens_of(model: HookedModel, token_ids: Sequence[int]) -> tuple[str, ...]:
    """Return one string per token of a text, for display: what it adds there."""
    return model.token_strings(token_ids)


def tokens_inside(model: HookedModel, token_ids: Sequence[int]) -> tuple[str, ...]:
    """Return one string per token of a part of a text, with text before and after it."""
    return model.text.inside(token_ids)


def each_token(model: HookedModel, token_ids: Sequence[int]) -> tuple[str, ...]:
    """Return one string per token ID, each as it reads inside a text, none as neighbours."""
    return model.text.each(token_ids)


def decode(model: HookedModel, token_ids: Sequence[int]) -> str:
    """Return the text of token IDs, special tokens included."""
    return model.decode(token_ids)


def decode_after(model: HookedModel, before: Sequence[int], token_ids: Sequence[int]) -> str:
    """Return what token IDs add to the text of those before them."""
    return model.decode_after(before, token_ids)


def ending_ids(model: HookedModel) -> frozenset[int]:
    """Return the token IDs that end a text."""
    return model.eos_token_ids


def run_length(trace: Trace) -> int:
    """Return the number of positions of a run, once it has been made.

    Raises:
        InlookError: It cannot be made; the message says why.
    """
    return len(trace)


def attention(trace: Trace, layer: int, head: int | None = None) -> Float[np.ndarray, "pos pos"]:
    """Return the attention weights of one head; the mean over a layer's heads for None.

    Raises:
        LayerError: There is no such layer or head, or the layer has no attention.
    """
    if head is not None:
        return trace.attention(layer, head)
    if len(trace) < ADDED_UP_FROM:
        return mean_over_heads(trace.attention(layer))
    total = sum(trace.attention(layer, head) for head in range(trace.n_heads))
    return np.asarray(total / trace.n_heads)


def attention_of_heads(trace: Trace, layer: int) -> Float[np.ndarray, "head pos pos"]:
    """Return the attention weights of every head of a layer.

    Raises:
        LayerError: There is no such layer, or it has no attention.
    """
    if len(trace) < ADDED_UP_FROM:
        return trace.attention(layer)
    return np.stack([trace.attention(layer, head) for head in range(trace.n_heads)])


def mean_rows(trace: Trace, pos: int) -> tuple[Float[np.ndarray, "pos"] | None, ...]:
    """Return what a position reads in each layer, the mean over heads; None without attention.

    Raises:
        PromptError: The trace lacks that position.
    """
    rows: list[np.ndarray | None] = [None] * trace.n_layers
    for layer in trace.attention_layers:
        rows[layer] = mean_over_heads(trace.attention_rows(layer, pos, pos + 1))[0]
    return tuple(rows)


def attention_window(
    trace: Trace, layer: int, head: int | None, start: int, stop: int
) -> Float[np.ndarray, "row row"]:
    """Return what some neighbouring positions read of each other, in one head or in the mean.

    Nothing is computed of the queries before and after them.

    Raises:
        LayerError: There is no such layer or head, or the layer has no attention.
        PromptError: The trace lacks such positions.
    """
    rows = trace.attention_rows(layer, start, stop, head)
    return read_only(mean_over_heads(rows[:, :, start:stop]))


def readable_window(trace: Trace, layer: int, start: int, stop: int) -> Bool[np.ndarray, "row row"]:
    """Return which of some neighbouring positions the mask let each of them read in any head.

    Raises:
        LayerError: There is no such layer, or it has no attention.
        PromptError: The trace lacks such positions.
    """
    trace.check_positions(start, stop)
    return trace.layer_at(layer).readable_rows(start, stop)[:, start:stop]


def mean_patterns(
    trace: Trace, size: int, start: int, stop: int
) -> tuple[Float[np.ndarray, "size size"] | None, ...]:
    """Return each layer's attention, the mean over its heads, as a small picture.

    Args:
        trace: The run.
        size: The most cells per side. A cell of a longer text holds the largest weight of its
            block; what no query there may read is NaN.
        start: The first position in the picture.
        stop: The one after the last.

    Returns:
        None for layers without attention.

    Raises:
        PromptError: The trace lacks such positions.
    """
    size = check_count("size", size, PromptError, 1)
    with_attention = trace.attention_layers
    return tuple(
        largest_of_blocks(attention_window(trace, layer, None, start, stop), size)
        if layer in with_attention
        else None
        for layer in range(trace.n_layers)
    )


def embedding(trace: Trace) -> Float[np.ndarray, "pos d_model"]:
    """Return what enters the first block."""
    return trace.embedding


def layer_output(trace: Trace, layer: int) -> Float[np.ndarray, "pos d_model"]:
    """Return the residual stream after a layer.

    Raises:
        LayerError: There is no such layer.
    """
    return trace.layer_output(layer)


def part_sizes(trace: Trace) -> Float[np.ndarray, "layer part pos"]:
    """Return the lengths of the vectors in each layer, in the order of `PARTS`; last, of the sum.

    The sum is what the whole layer adds, resid_post - resid_pre.
    """
    sizes = []
    for layer in trace.layers:
        vectors = [getattr(layer, name) for name in PARTS]
        vectors.append(layer.resid_post - layer.resid_pre)
        sizes.append([np.linalg.norm(one, axis=-1) for one in vectors])
    return read_only(np.array(sizes))


def vector(trace: Trace, layer: int, part: str, pos: int) -> Float[np.ndarray, "d_model"]:
    """Return one vector of a layer at one position.

    Args:
        trace: The run.
        layer: The layer, from 0.
        part: One of `PARTS`.
        pos: The position, from 0.

    Raises:
        LayerError: There is no such layer, or no such part.
        PromptError: There is no such position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    if part not in PARTS:
        raise LayerError(f"A layer has no part {part!r}: choose one of {', '.join(PARTS)}.")
    return getattr(trace.layer_at(layer), part)[pos]


def last_logits(trace: Trace) -> Float[np.ndarray, "vocab"]:
    """Return the logits after the last position."""
    return trace.last_logits


def copied_from(trace: Trace) -> int | None:
    """Return where the next token stands in the text already, the last time.

    None where it does not, or where the model gives no token half of the probability.
    """
    probabilities = softmax(trace.last_logits)
    answer = int(probabilities.argmax())
    if probabilities[answer] < 0.5:
        return None
    return max(np.flatnonzero(trace.token_ids == answer).tolist(), default=None)
