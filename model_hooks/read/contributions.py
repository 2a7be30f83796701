"""From where did a position read its answer: what does each earlier token add to one logit?

What a head adds to the residual stream is a sum over the tokens that it reads, weight times value
times output projection (Kobayashi et al. 2020, "Attention is Not Only a Weight", equation 3). Along
the direction of one logit, each of these vectors is a number, and they add up to what attention
adds (direct contribution).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.arrays import check_index, read_only, to_array
from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.parts.neurons import output_rows
from model_hooks.read.arithmetic import output_projection
from model_hooks.read.attribution import token_direction
from model_hooks.read.tail import tolerance_of
from model_hooks.run.interventions import Intervention
from model_hooks.run.joined import parts_of
from model_hooks.run.trace import Trace, last_attention, values_so_far
from model_hooks.run.trials import probe_ids
from model_hooks.write.decoding import Decoding
from model_hooks.write.forwards import Variant

Ids = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What is added to the logit of one token at one position, and from where it was read."""

    token_id: int
    pos: int
    """The position that read, and predicts the token."""
    by_key: Float[np.ndarray, "key"]
    """What was read of each position, all layers and heads together; itself is the last one."""
    by_head: Float[np.ndarray, "layer head"]
    """What each head adds; NaN where that cannot be told."""
    most_read: Int[np.ndarray, "layer head"]
    """The position of which each head adds most; -1 where that cannot be told."""
    attention: Float[np.ndarray, "layer"]
    feedforward: Float[np.ndarray, "layer"]
    total: float
    """What all parts add together: the logit, without what biases add whatever the text."""
    attended: Float[np.ndarray, "key"]
    """The mean weight on each position, over all layers and heads."""
    is_exact: bool
    """Whether the numbers of all positions, heads and parts add up to the total."""

    @property
    def ranking(self) -> Float[np.ndarray, "key"]:
        """How much each position matters: what was read of it, or its weight if that is unknown."""
        return self.attended if np.isnan(self.by_head).all() else self.by_key


class _Layer(NamedTuple):
    """What one layer did at the position."""

    weights: Float[np.ndarray, "head key"] | None
    """None in a layer without attention."""
    values: Float[np.ndarray, "kv_head key d_value"] | None
    attn_out: Float[np.ndarray, "d_model"]
    mlp_out: Float[np.ndarray, "d_model"]


def contributions(model: HookedModel, trace: Trace, token_id: int, pos: int = -1) -> Contributions:
    """Return what is added to the logit of a token after one position of a run, and read where.

    Raises:
        PromptError: The trace lacks that position, or the model that token.
        NotRecordableError: This family's tail cannot be run alone.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    n_keys = pos + 1
    layers = [
        _Layer(
            trace.attention_rows(i, pos, n_keys)[:, 0, :n_keys] if layer.has_attention else None,
            None if layer.value is None else layer.value[:, :n_keys],
            layer.attn_out[pos],
            layer.mlp_out[pos],
        )
        for i, layer in enumerate(trace.layers)
    ]
    last = trace.layers[-1].resid_post[pos]
    entered = trace.embedding[pos]
    return _added(model, layers, entered, last, token_id, pos, trace.interventions)


def next_contributions(
    model: HookedModel,
    prompt_ids: Ids,
    written_ids: Ids,
    token_id: int,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> Contributions:
    """Return the same for the next token of a text, from the run that it is picked from.

    Raises:
        PromptError: The text cannot be run, the context is full, or there is no such token.
        InterventionError: This model lacks what is switched off.
        NotRecordableError: This family's tail cannot be run alone.
    """
    start = model.start(prompt_ids, Decoding(), use_cache, interventions)
    model.check_token_ids(written_ids)
    text, variant = (*prompt_ids, *written_ids), Variant(use_cache, start.interventions)
    segments = model.forward_after(text, len(prompt_ids), variant)[0].segments
    parts = [parts_of(i, [record]) for i, record in enumerate(segments[-1].layers)]
    layers = [
        _Layer(
            last_attention(segments, i) if segments[-1].layers[i].calls else None,
            values_so_far(segments, i),
            part.attn_out[-1],
            part.mlp_out[-1],
        )
        for i, part in enumerate(parts)
    ]
    last, entered = parts[-1].resid_post[-1], parts[0].resid_pre[-1]
    return _added(model, layers, entered, last, token_id, len(text) - 1, variant.interventions)


def _added(
    model: HookedModel,
    layers: Sequence[_Layer],
    entered: Float[np.ndarray, "d_model"],
    last: Float[np.ndarray, "d_model"],
    token_id: int,
    pos: int,
    interventions: Sequence[Intervention],
) -> Contributions:
    direction = token_direction(model, last, token_id)
    n_heads = max((len(one.weights) for one in layers if one.weights is not None), default=0)
    by_head = np.full((len(layers), n_heads), np.nan)
    most_read = np.full(by_head.shape, -1)
    by_key, is_exact = np.zeros(pos + 1), True
    for i, layer in enumerate(layers):
        parts = _read(model, i, layer, direction, interventions)
        if parts is None:
            is_exact = False
            continue
        by_key += parts.sum(0)
        by_head[i, : len(parts)], most_read[i, : len(parts)] = parts.sum(1), parts.argmax(1)
    attention = np.array([layer.attn_out @ direction for layer in layers])
    feedforward = np.array([layer.mlp_out @ direction for layer in layers])
    total = float(last @ direction)
    added = entered @ direction + attention.sum() + feedforward.sum()
    size = np.abs(attention).sum() + np.abs(feedforward).sum() + abs(total)
    weights = [layer.weights.mean(0) for layer in layers if layer.weights is not None]
    return Contributions(
        token_id=token_id,
        pos=pos,
        by_key=read_only(by_key),
        by_head=read_only(by_head),
        most_read=read_only(most_read),
        attention=read_only(attention),
        feedforward=read_only(feedforward),
        total=total,
        attended=read_only(np.mean(weights, 0) if weights else np.zeros(pos + 1)),
        is_exact=bool(is_exact and abs(added - total) <= tolerance_of(model) * size),
    )


def _read(
    model: HookedModel,
    index: int,
    layer: _Layer,
    direction: Float[np.ndarray, "d_model"],
    interventions: Sequence[Intervention],
) -> Float[np.ndarray, "head key"] | None:
    """Return what each head of a layer adds by reading each key; None if that cannot be told."""
    path = _projection_paths(model)[index]
    if path is None or layer.weights is None or layer.values is None:
        return None
    weights, values = layer.weights.astype(np.float64), layer.values
    if not layer.attn_out.any():  # switched off
        return np.zeros_like(weights)
    module = model.model.get_submodule(path)
    tap = model.anatomy.blocks[index].attn_out
    rows = to_array(output_rows(module).detach().float())
    onto = rows @ direction.astype(np.float32) * (tap.scale if tap else 1.0)
    onto = onto.reshape(len(values), -1, values.shape[-1])
    along = (onto @ values.transpose(0, 2, 1)).reshape(weights.shape)
    parts = weights * along * _kept_of_heads(index, len(weights), interventions)[:, None]
    bias = getattr(module, "bias", None)
    constant = 0.0 if bias is None else float(to_array(bias.detach().float()) @ direction)
    constant *= tap.scale if tap else 1.0
    expected = float(layer.attn_out @ direction)
    size = np.abs(parts).sum() + abs(constant) + abs(expected)
    return parts if abs(parts.sum() + constant - expected) <= tolerance_of(model) * size else None


def _kept_of_heads(
    layer: int, n_heads: int, interventions: Sequence[Intervention]
) -> Float[np.ndarray, "head"]:
    """Return what a run's interventions leave of each head of a layer: 0 if it is switched off."""
    acting = [one.effects() for one in interventions if one.acts_in(layer)]
    effects = [effects["heads"] for effects in acting if "heads" in effects]
    if not effects:
        return np.ones(n_heads)
    heads = torch.ones(1, 1, n_heads, 1)
    for effect in effects:
        heads = effect(heads)
    return to_array(heads[0, 0, :, 0])


@once_per_model
def _projection_paths(model: HookedModel) -> tuple[str | None, ...]:
    """Return where each layer's output projection is; None if its heads do not simply add up."""
    trace = model.trace(probe_ids(model.info.vocab_size))
    found = [output_projection(model, trace, layer) for layer in range(trace.n_layers)]
    return tuple(None if one is None else one.path for one in found)
