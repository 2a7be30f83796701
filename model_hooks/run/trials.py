"""What can a model do? Tried on a few tokens when it is loaded, before anybody relies on it."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from transformers import PreTrainedModel

from model_hooks.errors import LayerError, NotRecordableError
from model_hooks.parts.abilities import Abilities, LayerAbilities, ModuleFacts, Ways
from model_hooks.parts.anatomy import Anatomy, BlockAnatomy, path_of
from model_hooks.parts.experts import Router, find_routers
from model_hooks.parts.neurons import find_feedforward
from model_hooks.run import interface
from model_hooks.run.attention import RecordedAttention, learn_formula
from model_hooks.run.capture import LayerRecord
from model_hooks.run.runner import Runner

PROBE = (1, 2, 3, 5, 8, 13)
"""Token IDs, those of a smaller vocabulary being counted round."""


def probe_ids(vocab_size: int) -> tuple[int, ...]:
    """Return a few token IDs that a model with that vocabulary has."""
    return tuple(token_id % vocab_size for token_id in PROBE)


def first_runner(model: PreTrainedModel, returns_weights: bool) -> Runner:
    """Return a runner that nothing was tried with."""
    takes = inspect.signature(model.forward).parameters
    ways = Ways(
        returns_weights=returns_weights,
        continues=True,
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


def try_cache(runner: Runner, token_ids: tuple[int, ...]) -> Runner:
    """Learn how this family goes on from a KV cache; one that never gets it right goes without.

    Most count the positions in the cache themselves, a few must be told (Bamba), and some of
    those that can be told count them in another way (RoBERTa).
    """
    truth = _last_state(runner.whole(token_ids).segment.layers)
    tolerance = 1e-3 if truth.dtype in (torch.float32, torch.float64) else 5e-2
    for told in (False, True) if runner.ways.takes_positions else (False,):
        tried = replace(runner, ways=replace(runner.ways, names_positions=told))
        begun = tried.record(token_ids[:-1], len(token_ids) - 1, use_cache=True)
        if begun.cache is None:
            return tried
        step = tried.record(token_ids, 1, begun.cache, use_cache=True)
        gap = _last_state(step.segment.layers) - truth
        if gap.norm() <= tolerance * truth.norm():
            return tried
    return replace(runner, ways=replace(runner.ways, continues=False, names_positions=False))


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
