"""What is each block of a model made of, and how many numbers did each part learn?

Read from what the modules took and gave while a few tokens ran, from the module tree, and from the
config for what neither shows (experts per token, positions).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model_hooks.model import HookedModel
from model_hooks.parts.anatomy import BlockAnatomy, is_norm
from model_hooks.parts.facts import (
    AttentionFacts,
    AttentionKind,
    BlockFacts,
    FeedforwardFacts,
    NormFacts,
    Place,
)
from model_hooks.parts.norms import norm_kind, takes_one_argument
from model_hooks.parts.probing import Call, Calls, calls_of
from model_hooks.parts.roles import (
    feedforward_parts,
    has_bias,
    is_bias,
    mixer,
    mixing_modules,
    n_experts_among,
    width_and_gate,
)
from model_hooks.run.trace import LayerTrace
from model_hooks.run.trials import probe_ids

Part = Literal[
    "token embedding",
    "position embedding",
    "attention",
    "other mixing",
    "feedforward",
    "norms",
    "LM head",
    "other",
]
PARTS: tuple[Part, ...] = get_args(Part)
_QUERY_OR_KEY = re.compile(r"(q|k|query|key)_?(layer)?_?norm|norm_?(q|k)$|(q|k)_ln$")


def block_facts(model: HookedModel) -> tuple[BlockFacts, ...]:
    """Return what each block of a model is made of, by running a few tokens through it once.

    A block that runs several times is there as often, with the same facts.
    """
    blocks = model.anatomy.blocks
    watched = [m for block in blocks for m in _watched(block)]
    with calls_of(dict.fromkeys(watched)) as calls:
        trace = model.trace(probe_ids(model.info.vocab_size))
    found: dict[nn.Module, BlockFacts] = {}
    facts = []
    for block, layer in zip(blocks, trace.layers, strict=True):
        if block.module not in found:
            found[block.module] = _facts(model, block, layer, calls)
        facts.append(replace(found[block.module], layer=layer.layer))
    return tuple(facts)


def _watched(block: BlockAnatomy) -> list[nn.Module]:
    """The norms of a block, and whatever may read what they give."""
    modules = list(block.module.modules())
    linear = [m for m in modules if is_norm(m) or isinstance(m, (nn.Linear, Conv1D))]
    parts = [*mixing_modules(block), *(m for _, m in feedforward_parts(block))]
    return [*linear, *parts, *(child for part in parts for child in part.children())]


def _facts(model: HookedModel, block: BlockAnatomy, layer: LayerTrace, calls: Calls) -> BlockFacts:
    attention = _attention(model, block, layer)
    return BlockFacts(
        layer=layer.layer,
        path=block.path,
        wiring=block.wiring,
        norms=tuple(_norms(block, layer, calls, model)),
        attention=attention,
        mixer=None if attention else mixer(block),
        feedforward=_feedforward(model, block),
        position=model.info.position,
        n_parameters=sum(p.numel() for p in block.module.parameters()),
        n_biases=sum(p.numel() for name, p in block.module.named_parameters() if is_bias(name)),
    )


def _norms(
    block: BlockAnatomy, layer: LayerTrace, calls: Calls, model: HookedModel
) -> Iterator[NormFacts]:
    mixing = {m for part in mixing_modules(block) for m in part.modules()}
    feeding = {m for _, part in feedforward_parts(block) for m in part.modules()} - mixing
    for name, module in block.module.named_modules():
        if not name or not is_norm(module) or not calls[module]:
            continue
        if module in mixing:
            inside = name.rpartition(".")[2].lower()
            place: Place = "on queries and keys" if _QUERY_OR_KEY.match(inside) else "inside mixing"
        else:
            rows = model.anatomy.layout.rows
            first = Call(*(None if t is None else rows(t) for t in calls[module][0]))
            place = _place(module, first, block, layer) or _place_by_neighbours(
                module, calls, mixing, feeding
            )
        yield NormFacts(place, _kind(module), f"{block.path}.{name}")


def _kind(norm: nn.Module) -> str:
    if takes_one_argument(norm):
        try:
            return norm_kind(norm)
        except (AttributeError, RuntimeError, TypeError):  # it wants a gate after all
            pass
    return type(norm).__name__


def _place(norm: nn.Module, call: Call, block: BlockAnatomy, layer: LayerTrace) -> Place | None:
    """Where a norm is, as far as what the block adds and hands on tells."""
    if block.wiring == "post":
        if _same(call.output, layer.resid_mid):
            return "on the sum after attention"
        if _same(call.output, layer.resid_post):
            return "on the sum after feedforward"
    if block.attn_out is not None and block.attn_out.module is norm:
        return "after attention"
    if block.mlp_out is not None and block.mlp_out.module is norm:
        return "after feedforward"
    if block.wiring == "sequential" and _same(call.input, layer.resid_mid):
        return "before feedforward"
    return None


def _place_by_neighbours(
    norm: nn.Module, calls: Calls, mixing: set[nn.Module], feeding: set[nn.Module]
) -> Place:
    """Where a norm is, by whose output it reads, and by who reads its own."""
    taken, given = calls[norm][0]
    attends = feeds = False
    for module, runs in calls.items():
        if module is norm or module not in mixing | feeding or not runs:
            continue
        if _same(runs[0].output, taken):
            return "after attention" if module in mixing else "after feedforward"
        if _same(runs[0].input, given):
            attends, feeds = attends or module in mixing, feeds or module in feeding
    if attends and feeds:
        return "before both"
    if attends or feeds:
        return "before attention" if attends else "before feedforward"
    return "inside feedforward" if norm in feeding else "elsewhere"


def _same(a: Tensor | None, b: object) -> bool:
    """Whether two arrays hold the same numbers, but for rounding."""
    if a is None or b is None:
        return False
    other = b if isinstance(b, Tensor) else torch.tensor(b)
    if a.numel() != other.numel():
        return False
    one, other = a.float().cpu().reshape(-1), other.float().cpu().reshape(-1)
    rounding = 1e-5 if a.dtype in (torch.float32, torch.float64) else 4e-3
    return float((one - other).norm()) <= rounding * float(other.norm())


def _attention(model: HookedModel, block: BlockAnatomy, layer: LayerTrace) -> AttentionFacts | None:
    if block.attention is None:
        return None
    info = model.info
    n_heads, n_kv_heads, d_head = info.n_heads, info.n_kv_heads, info.d_head
    if layer.query is not None and layer.key is not None:
        (n_heads, _, d_head), n_kv_heads = layer.query.shape, len(layer.key)
    names = [name for name, _ in block.attention.named_modules()]
    kind: AttentionKind
    if any(re.search(r"kv_a_proj|kv_a_layernorm|kv_down", name) for name in names):
        kind = "latent"
    elif n_kv_heads == n_heads:
        kind = "multi-head"
    else:
        kind = "multi-query" if n_kv_heads == 1 else "grouped-query"
    return AttentionFacts(
        kind=kind,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        window=info.sliding_window[layer.layer],
        bias=has_bias(block.attention),
        path=block.attention_path or "",
    )


def _feedforward(model: HookedModel, block: BlockAnatomy) -> FeedforwardFacts | None:
    parts = [module for _, module in feedforward_parts(block)]
    if not parts:
        return None
    info = model.info
    n_experts = n_experts_among(parts)
    width, gated = info.d_mlp, info.gated_mlp
    if not n_experts:
        width, gated = width_and_gate(parts, info.d_model) or (width, gated)
    names = [name for part in parts for name, _ in part.named_modules()]
    return FeedforwardFacts(
        activation=info.activation,
        gated=gated,
        width=width,
        bias=any(has_bias(part) for part in parts),
        n_experts=n_experts,
        experts_per_token=info.experts_per_token if n_experts else None,
        shared_expert=bool(n_experts) and any("shared_" in name for name in names),
    )


def count_parameters(model: HookedModel) -> dict[Part, int]:
    """Return how many numbers each part of a model learned; they add up to `info.n_parameters`.

    A tensor that two parts share (a tied LM head) counts once, for the first of `PARTS`.
    """
    part_of: dict[int, Part] = {}

    def claim(module: nn.Module | None, part: Part) -> None:
        for parameter in () if module is None else module.parameters():
            part_of.setdefault(id(parameter), part)

    network, anatomy = model.model, model.anatomy
    claim(network.get_input_embeddings(), "token embedding")
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and re.search(r"pos|wpe", name.lower()):
            claim(module, "position embedding")
    for block in {id(block.module): block for block in anatomy.blocks}.values():
        for module in block.module.modules():
            if is_norm(module):
                claim(module, "norms")
        claim(block.attention, "attention")
        if block.attention is None:
            for module in mixing_modules(block):
                claim(module, "other mixing")
        for _, module in feedforward_parts(block):
            claim(module, "feedforward")
    for module in anatomy.decoder.modules():
        if is_norm(module):
            claim(module, "norms")
    claim(network.get_output_embeddings(), "LM head")
    counts = dict.fromkeys(PARTS, 0)
    for parameter in network.parameters():
        counts[part_of.get(id(parameter), "other")] += parameter.numel()
    return counts
