"""What can a model do? Tried on a few tokens when it is loaded, before anybody relies on it."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from model_hooks.arrays import to_array
from model_hooks.errors import InlookError, LayerError, NotRecordableError
from model_hooks.opening.alone import run_with_own_dtype
from model_hooks.parts.abilities import Abilities, LayerAbilities, ModuleFacts, Ways
from model_hooks.parts.anatomy import Anatomy, BlockAnatomy, path_of
from model_hooks.parts.experts import Router, find_routers
from model_hooks.parts.neurons import find_feedforward
from model_hooks.run import interface
from model_hooks.run.attention import RecordedAttention, learn_formula
from model_hooks.run.capture import LayerRecord
from model_hooks.run.reach import tried_windows
from model_hooks.run.rotations import let_each_text_stretch
from model_hooks.run.runner import Runner

PROBE = (1, 2, 3, 5, 8, 13)
"""Token IDs, those of a smaller vocabulary being counted round."""
N_REPEATED = 8
"""Tokens of a text that repeats one of them."""


def probe_ids(vocab_size: int) -> tuple[int, ...]:
    """Return a few token IDs that a model with that vocabulary has."""
    return tuple(token_id % vocab_size for token_id in PROBE)


def first_runner(model: PreTrainedModel, returns_weights: bool) -> Runner:
    """Return a runner that nothing was tried with."""
    run_with_own_dtype(model)
    takes = inspect.signature(model.forward).parameters
    ways = Ways(
        returns_weights=returns_weights,
        continues=True,
        continues_by_many=True,
        shortens=True,
        stretches=let_each_text_stretch(model.modules()),
        uncounted_id=None,
        has_tail=True,
        names_positions=False,
        takes_positions="position_ids" in takes,
        keeps_last_logits="logits_to_keep" in takes,
    )
    return Runner(model, ways)


def try_recording(
    runner: Runner, token_ids: tuple[int, ...], name: str
) -> tuple[Runner, tuple[LayerRecord, ...]]:
    """Learn how attention is recorded, and which layers follow the plain formula.

    Returns:
        The runner to go on with, and what it recorded of each layer.

    Raises:
        NotRecordableError: The model has no attention at all.
    """
    layers = _records(runner, token_ids)
    if not _attends(layers) and not runner.ways.returns_weights:
        # Attention that bypasses the interface may still return its weights.
        interface.use_eager_attention(runner.model)
        runner = replace(runner, ways=replace(runner.ways, returns_weights=True))
        layers = _records(runner, token_ids)
    if not _attends(layers):
        raise NotRecordableError(
            f"{name} ({runner.model.config.model_type}) has no attention layers, so there is "
            "nothing for Inlook to show."
        )
    for layer in layers:
        for call in layer.calls:
            if isinstance(call, RecordedAttention):
                learn_formula(call)
    return runner, layers


def try_tail(runner: Runner, token_ids: tuple[int, ...]) -> Runner:
    """Learn whether what comes after the last block can be run alone, with the same result."""
    ran = runner.whole(token_ids)
    state = _last_state(ran.segment.layers)
    try:
        alone = runner.tail(to_array(state[None]), token_ids[0])[-1]
    except InlookError:
        return replace(runner, ways=replace(runner.ways, has_tail=False))
    # A token that a family rules out has minus infinity in both.
    there = np.isfinite(ran.logits) & np.isfinite(alone)
    gap = np.linalg.norm((alone - ran.logits)[there])
    right = gap <= tolerance_of(state) * np.linalg.norm(ran.logits[there])
    return replace(runner, ways=replace(runner.ways, has_tail=bool(right)))


def hears_distance(runner: Runner, token_id: int) -> Literal["alibi", "relative", "none"] | None:
    """Say what attention adds by distance, seen in a text that repeats one token.

    Without position vectors or rotation, equal keys get equal weights: what differs was added to
    the scores.

    Returns:
        None where that cannot be told, since what enters attention differs already.
    """
    layers = runner.whole((token_id,) * N_REPEATED).segment.layers
    first = next(layer for layer in layers if layer.calls)
    stream, call = first.resid_pre.float(), first.calls[-1]
    if (stream - stream[:1]).abs().max() > 1e-3 * stream.abs().max():
        return None
    if call.inputs is not None:
        keys = call.inputs.key.float()
        if (keys - keys[:, :, :1]).abs().max() > 1e-3 * keys.abs().max():
            return None
    last = call.weights()[:, -1].double().flip(-1)
    bias = last.clamp(min=1e-30).log()
    bias = bias - bias[:, :1]
    if bias.abs().max() < 1e-3:
        return "none"
    slope = bias[:, -1:] / (N_REPEATED - 1)
    distance = torch.arange(N_REPEATED, device=bias.device, dtype=bias.dtype)
    linear = (bias - slope * distance).abs().max() < 1e-2 * bias.abs().max()
    return "alibi" if linear else "relative"


def tolerance_of(state: torch.Tensor) -> float:
    """Return by how much two ways to compute a state may differ, relative to its size."""
    return 1e-3 if state.dtype in (torch.float32, torch.float64) else 5e-2


def sum_up(
    model: PreTrainedModel,
    anatomy: Anatomy,
    ways: Ways,
    recorded: Sequence[LayerRecord],
    d_model: int,
) -> Abilities:
    """Sum up what was found out about a model.

    Args:
        model: The model.
        anatomy: Its parts.
        ways: How it wants to be run.
        recorded: What a run recorded of each layer.
        d_model: Width of its residual stream.
    """
    blocks = zip(anatomy.blocks, find_routers(anatomy), recorded, strict=True)
    layers = (_layer(block, router, record, ways, d_model) for block, router, record in blocks)
    return Abilities(
        **vars(ways),
        layers=tuple(layers),
        embedding=_module(model, model.get_input_embeddings()),
        final_norm=None if anatomy.final_norm is None else _module(model, anatomy.final_norm),
        lm_head=None if anatomy.lm_head is None else _module(model, anatomy.lm_head),
    )


def windows_of(
    runner: Runner, token_ids: tuple[int, ...], hints: Sequence[int | None]
) -> tuple[int | None, ...]:
    """Return how far each layer looks back, from the masks that a run makes.

    Args:
        runner: Runs the model.
        token_ids: What to run.
        hints: What config and modules say, for layers whose mask is made in another way.
    """
    with interface.keeping_masks() as made:
        layers = runner.whole(token_ids).segment.layers
    return tried_windows(layers, made, hints)


def _records(runner: Runner, token_ids: tuple[int, ...]) -> tuple[LayerRecord, ...]:
    layers = runner.whole(token_ids).segment.layers
    interface.settle(layers)
    return layers


def _attends(layers: Sequence[LayerRecord]) -> bool:
    return any(layer.calls for layer in layers)


def _last_state(layers: Sequence[LayerRecord]) -> torch.Tensor:
    state = layers[-1].resid_post
    if state is None:
        raise NotRecordableError("The last block of this model never ends, so nothing can be seen.")
    return state[-1]


def _layer(
    block: BlockAnatomy, router: Router | None, record: LayerRecord, ways: Ways, d_model: int
) -> LayerAbilities:
    call = record.calls[-1] if record.calls else None
    inputs = None if call is None else call.inputs
    return LayerAbilities(
        path=block.path,
        wiring=block.wiring,
        parts=block.parts,
        attention_path=block.attention_path,
        attn_out_path=None if block.attn_out is None else block.attn_out.path,
        mlp_out_path=None if block.mlp_out is None else block.mlp_out.path,
        has_attention=call is not None,
        records_queries=inputs is not None,
        n_heads=0 if call is None else call.n_heads,
        n_kv_heads=None if inputs is None else inputs.key.shape[1],
        changes_heads=call is not None and not ways.returns_weights,
        has_feedforward=block.parts != ("attention",),
        neurons_path=_neurons_path(block, d_model),
        router_path=None if router is None else router.path,
    )


def _neurons_path(block: BlockAnatomy, d_model: int) -> str | None:
    try:
        return find_feedforward(block, d_model).path
    except LayerError:
        return None


def _module(model: nn.Module, module: nn.Module) -> ModuleFacts:
    weight = getattr(module, "weight", None)
    return ModuleFacts(
        path=path_of(model, module),
        shape=None if weight is None else tuple(weight.shape),
        has_bias=getattr(module, "bias", None) is not None,
    )
