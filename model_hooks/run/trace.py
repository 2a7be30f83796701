"""What does one prompt leave behind in a model? A trace: read-only NumPy arrays on the CPU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_hooks.arrays import check_index, read_only, to_array
from model_hooks.errors import LayerError, PromptError
from model_hooks.run.attention import AttentionCall
from model_hooks.run.capture import LayerRecord
from model_hooks.run.interventions import Intervention
from model_hooks.run.joined import joined_heads, parts_of
from model_hooks.run.segment import Segment
from model_hooks.run.shown import likeliest_ids, shown

N_NEXT = 10
"""How many of the likeliest next tokens a trace can name without its model."""
PER_HEAD_FROM = 512
"""From this many positions on, one head's weights are computed alone: a layer's fill memory."""


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One transformer block: what entered it, what each half added, what left it.

    In a block whose attention and feedforward run in parallel, `resid_mid` is
    `resid_pre + attn_out`, a state such a model never holds. In a post-norm block, `resid_mid` is
    normalised, so it is not `resid_pre + attn_out`.
    """

    layer: int
    query: Float[np.ndarray, "head pos d_head"] | None
    """After position encoding and any q/k norm; None in a layer without attention, and in the few
    families that keep it to themselves."""
    key: Float[np.ndarray, "kv_head pos d_head"] | None
    value: Float[np.ndarray, "kv_head pos d_value"] | None
    resid_pre: Float[np.ndarray, "pos d_model"]
    attn_out: Float[np.ndarray, "pos d_model"]
    """What attention adds to the residual stream."""
    mlp_out: Float[np.ndarray, "pos d_model"]
    """What the feedforward adds to the residual stream."""
    resid_post: Float[np.ndarray, "pos d_model"]
    _calls: tuple[AttentionCall, ...] = field(repr=False)
    """One per segment."""
    _resid_mid: Float[np.ndarray, "pos d_model"] | None = field(repr=False)
    """As recorded; None where it is the sum of what came in and what attention added."""

    @cached_property
    def resid_mid(self) -> Float[np.ndarray, "pos d_model"]:
        """What enters the feedforward half: the residual stream after attention."""
        recorded = self._resid_mid
        return read_only(self.resid_pre + self.attn_out) if recorded is None else recorded

    @property
    def has_attention(self) -> bool:
        """Whether this layer has attention; others mix positions in another way."""
        return bool(self._calls)

    @property
    def scale(self) -> float | None:
        """What the products of query and key are multiplied with; None where they are unknown."""
        return self._calls[0].scale if self._calls else None

    @property
    def softcap(self) -> float | None:
        """The bound that scores are squeezed under (Gemma 2), or None."""
        return self._calls[0].softcap if self._calls else None

    @property
    def n_heads(self) -> int:
        """Number of query heads; 0 without attention."""
        return self._calls[0].n_heads if self._calls else 0

    @property
    def readable(self) -> Bool[np.ndarray, "pos pos"]:
        """Which keys (columns) the mask let each query (row) read in any head."""
        return self.readable_rows(0, len(self.resid_pre))

    @property
    def mask_id(self) -> tuple[int, ...]:
        """Equal for layers of one trace that were given the same masks."""
        return tuple(call.mask_id for call in self._calls)

    def readable_rows(self, start: int, stop: int) -> Bool[np.ndarray, "row pos"]:
        """Return which keys the mask let each query from `start` up to `stop` read in any head.

        Raises:
            LayerError: The layer has no attention.
        """
        self._check_attention()
        n_pos, end, blocks = len(self.resid_pre), 0, []
        for call in self._calls:
            first, end = end, end + call.n_rows
            if start >= end or stop <= first:
                continue
            allowed = call.readable(range(max(0, start - first), min(stop, end) - first))
            before = max(end - allowed.shape[-1], 0)  # a sliding-window cache hands over the last
            allowed = torch.nn.functional.pad(allowed[:, :end], (before, 0))
            blocks.append(torch.nn.functional.pad(allowed, (0, n_pos - allowed.shape[-1])))
        return read_only(torch.cat(blocks).cpu().numpy())

    @cached_property
    def attention(self) -> Float[np.ndarray, "head pos pos"]:
        """Attention weights of every head, computed on first use: most are never looked at.

        Raises:
            LayerError: The layer has no attention.
        """
        return read_only(self._assemble(None))

    def head(self, head: int) -> Float[np.ndarray, "pos pos"]:
        """Return one head's attention weights, computing no other head of a long text.

        Raises:
            LayerError: The layer lacks that head, or has no attention.
        """
        if "attention" in self.__dict__ or len(self.resid_pre) < PER_HEAD_FROM:
            weights = self.attention
            return weights[check_index("head", head, len(weights), LayerError)]
        self._check_attention()
        return read_only(self._assemble(check_index("head", head, self.n_heads, LayerError)))

    def rows(
        self, start: int, stop: int, head: int | None = None
    ) -> Float[np.ndarray, "head row pos"]:
        """Return what the queries from `start` up to `stop` attend to, and as few others as can be.

        With `head`, in that head alone.

        Raises:
            LayerError: The layer lacks that head, or has no attention.
        """
        self._check_attention()
        if head is not None:
            head = check_index("head", head, self.n_heads, LayerError)
        if "attention" in self.__dict__:
            heads = slice(None) if head is None else slice(head, head + 1)
            return self.attention[heads, start:stop]
        blocks, end = [], 0
        for i, call in enumerate(self._calls):
            first, end = end, end + call.n_rows
            if start < end and stop > first:
                inside = range(max(0, start - first), min(stop, end) - first)
                blocks.append(_call_weights(self._calls, i, head, inside))
        n_pos = len(self.resid_pre)
        blocks = [torch.nn.functional.pad(block, (0, n_pos - block.shape[-1])) for block in blocks]
        return read_only(torch.cat(blocks, -2).float().cpu().numpy())

    def _check_attention(self) -> None:
        if not self._calls:
            raise LayerError(
                f"Layer {self.layer} has no attention: it mixes positions in another way."
            )

    def _assemble(self, head: int | None) -> Float[np.ndarray, "..."]:
        self._check_attention()
        n_pos = len(self.resid_pre)
        blocks = [_call_weights(self._calls, i, head) for i in range(len(self._calls))]
        blocks = [torch.nn.functional.pad(block, (0, n_pos - block.shape[-1])) for block in blocks]
        return torch.cat(blocks, -2).float().cpu().numpy()


@dataclass(frozen=True, eq=False)
class Trace:
    """One text through one model.

    Args:
        token_ids: The input, special tokens included.
        tokens: The same for people, one string per ID.
        layers: One per block, in the order they ran.
        last_logits: Logits after the last position, over the whole vocabulary.
        interventions: What was changed in this run.
        next_tokens: The likeliest tokens to come next for people, the likeliest first.
    """

    token_ids: Int[np.ndarray, "pos"]
    tokens: tuple[str, ...]
    layers: tuple[LayerTrace, ...]
    last_logits: Float[np.ndarray, "vocab"]
    interventions: tuple[Intervention, ...] = ()
    next_tokens: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.tokens) == len(self.token_ids) == len(self.embedding):
            raise ValueError(
                f"lengths differ: {len(self.tokens)} tokens, {len(self.token_ids)} ids, "
                f"{len(self.embedding)} positions recorded"
            )

    def __len__(self) -> int:
        """Number of positions."""
        return len(self.token_ids)

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Number of query heads in the first layer that has attention; 0 if none has."""
        return next((layer.n_heads for layer in self.layers if layer.has_attention), 0)

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """The layers that have attention."""
        return tuple(i for i, layer in enumerate(self.layers) if layer.has_attention)

    @property
    def embedding(self) -> Float[np.ndarray, "pos d_model"]:
        """What enters the first block."""
        return self.layers[0].resid_pre

    def _repr_html_(self) -> str:
        """Show the text and what comes next, in a notebook."""
        return shown(self.tokens, self.next_tokens, self.last_logits, self.n_layers, self.n_heads)

    def layer_at(self, layer: int) -> LayerTrace:
        """Return what was recorded of a layer.

        Raises:
            LayerError: This trace lacks that layer.
        """
        return self.layers[check_index("layer", layer, self.n_layers, LayerError)]

    def attention(self, layer: int, head: int | None = None) -> Float[np.ndarray, "*head pos pos"]:
        """Return the attention weights of a layer [head, pos, pos], or of one head [pos, pos].

        Raises:
            LayerError: This trace lacks that layer or head, or the layer has no attention.
        """
        chosen = self.layer_at(layer)
        return chosen.attention if head is None else chosen.head(head)

    def attention_rows(
        self, layer: int, start: int, stop: int, head: int | None = None
    ) -> Float[np.ndarray, "head row pos"]:
        """Return what the queries from `start` up to `stop` attend to in every head of a layer.

        With `head`, in that head alone.

        Raises:
            LayerError: This trace lacks that layer or head, or the layer has no attention.
            PromptError: The trace lacks such positions.
        """
        chosen = self.layer_at(layer)
        self.check_positions(start, stop)
        return chosen.rows(start, stop, head)

    def check_positions(self, start: int, stop: int) -> None:
        """Refuse positions from `start` up to `stop` that this trace lacks.

        Raises:
            PromptError: It lacks some.
        """
        if not 0 <= start < stop <= len(self):
            raise PromptError(
                f"There are no positions {start} to {stop - 1}: this text has {len(self)} tokens."
            )

    def layer_output(self, layer: int) -> Float[np.ndarray, "pos d_model"]:
        """Return the residual stream after a layer.

        Raises:
            LayerError: This trace lacks that layer.
        """
        return self.layer_at(layer).resid_post


def build_trace(
    segments: Sequence[Segment],
    tokens: tuple[str, ...],
    last_logits: Float[np.ndarray, "vocab"],
    interventions: Sequence[Intervention] = (),
    say: Callable[[Sequence[int]], tuple[str, ...]] | None = None,
) -> Trace:
    """Join what successive forward passes recorded into one trace.

    Args:
        segments: What each pass recorded.
        tokens: The text's tokens for people.
        last_logits: After the last position.
        interventions: What was changed in these passes.
        say: Says for people what token IDs stand for.
    """
    token_ids = np.array([i for segment in segments for i in segment.token_ids], dtype=np.int64)
    columns = zip(*(segment.layers for segment in segments), strict=True)
    return Trace(
        token_ids=read_only(token_ids),
        tokens=tokens,
        layers=tuple(_layer(i, records) for i, records in enumerate(columns)),
        last_logits=last_logits,
        interventions=tuple(interventions),
        next_tokens=say(likeliest_ids(last_logits, N_NEXT)) if say is not None else (),
    )


def last_attention(segments: Sequence[Segment], layer: int) -> Float[np.ndarray, "head pos"]:
    """Return what every head of a layer attends to from the last position, and no other row.

    Raises:
        LayerError: There is no such layer, or it has no attention.
    """
    check_index("layer", layer, len(segments[-1].layers), LayerError)
    records = [segment.layers[layer] for segment in segments]
    calls = [record.calls[-1] for record in records if record.calls]
    if not calls:
        raise LayerError(f"Layer {layer} has no attention: it mixes positions in another way.")
    last = calls[-1].n_rows - 1
    return to_array(_call_weights(calls, len(calls) - 1, None, range(last, last + 1))[:, 0])


def values_so_far(
    segments: Sequence[Segment], layer: int
) -> Float[np.ndarray, "kv_head pos d_value"] | None:
    """Return the values of every position in one layer; None where they were not recorded."""
    records = [segment.layers[layer] for segment in segments]
    inputs = [record.calls[-1].inputs if record.calls else None for record in records]
    values = [given.value for given in inputs if given is not None]
    return joined_heads(values) if len(values) == len(segments) else None


def _layer(index: int, records: Sequence[LayerRecord]) -> LayerTrace:
    parts = parts_of(index, records)
    calls = tuple(record.calls[-1] for record in records if record.calls)
    inputs = [call.inputs for call in calls if call.inputs is not None]
    query, key, value = (
        map(joined_heads, zip(*inputs, strict=True)) if inputs else (None, None, None)
    )
    return LayerTrace(
        layer=index,
        query=query,
        key=key,
        value=value,
        resid_pre=read_only(parts.resid_pre),
        attn_out=parts.attn_out,
        mlp_out=parts.mlp_out,
        resid_post=read_only(parts.resid_post),
        _calls=calls,
        _resid_mid=None if parts.resid_mid is None else read_only(parts.resid_mid),
    )


def _call_weights(
    calls: Sequence[AttentionCall], i: int, head: int | None, rows: range | None = None
) -> Tensor:
    """Weights of the positions new to call `i`, [head, new, pos], or [new, pos] of one head.

    With `rows`, of some of these positions only, [head, row, pos] in any case.
    """
    call, end = calls[i], sum(call.n_rows for call in calls[: i + 1])
    if rows is not None:
        weights = call.row_weights(rows, calls[:i], head)
    else:
        weights = call.weights(calls[:i]) if head is None else call.head_weights(head, calls[:i])
    # A sliding-window cache hands over the last keys only: the rest got no weight. What follows
    # the keys of the positions (DeepSeek-V4's compressed ones) is no position of its own.
    before = max(end - weights.shape[-1], 0)
    return torch.nn.functional.pad(weights[..., :end], (before, 0))
