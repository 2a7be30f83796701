"""What a block is made of: its norms, attention and feedforward, and how they are joined.

Read from the loaded model: from what its modules took and gave while a few tokens ran through it,
from its module tree, and from its config for what neither shows (experts per token, positions).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model_hooks.model import HookedModel
from model_hooks.parts.abilities import Wiring
from model_hooks.parts.anatomy import BlockAnatomy, is_norm
from model_hooks.parts.norms import norm_kind, takes_one_argument
from model_hooks.parts.probing import Call, Calls, calls_of
from model_hooks.run.trace import LayerTrace

Place = Literal[
    "before attention",
    "before feedforward",
    "before both",
    "after attention",
    "after feedforward",
    "on the sum after attention",
    "on the sum after feedforward",
    "on queries and keys",
    "inside mixing",
    "inside feedforward",
    "elsewhere",
]
"""Where a norm is: on what a part reads, on what it adds, or on the stream once it was added."""

AttentionKind = Literal["multi-head", "grouped-query", "multi-query", "latent"]
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
PARTS: tuple[Part, ...] = Part.__args__
_FEEDFORWARD = re.compile(
    r"mlp|feed_?forward|ffn|ffw|moe|expert|router|^fc|^wi|^wo|^gate|^up|^down|intermediate|^output$"
    r"|dense|^ff"
)

_QUERY_OR_KEY = re.compile(r"(q|k|query|key)_?(layer)?_?norm|norm_?(q|k)$|(q|k)_ln$")


@dataclass(frozen=True)
class NormFacts:
    """One norm of a block."""

    place: Place
    kind: str
    """`LayerNorm` or `RMSNorm`; the class's name where it takes more than one vector."""
    path: str


@dataclass(frozen=True)
class AttentionFacts:
    """The attention of a block."""

    kind: AttentionKind
    n_heads: int
    n_kv_heads: int
    d_head: int
    window: int | None
    """How many positions a query may look back, itself included; None if all."""
    bias: bool
    path: str


@dataclass(frozen=True)
class FeedforwardFacts:
    """The feedforward of a block."""

    activation: str
    gated: bool
    width: int | None
    """Of the hidden layer; of one expert in a mixture of experts."""
    bias: bool
    n_experts: int | None
    experts_per_token: int | None
    shared_expert: bool
    """Whether one expert runs for every token beside the chosen ones."""

    @property
    def name(self) -> str:
        """The common name of activation and gate, such as `SwiGLU` (Shazeer 2020)."""
        return feedforward_name(self.activation, self.gated)


@dataclass(frozen=True)
class BlockFacts:
    """One block, in the order a token's vector meets its parts."""

    layer: int
    path: str
    wiring: Wiring
    norms: tuple[NormFacts, ...]
    attention: AttentionFacts | None
    """None in a recurrent or convolution layer."""
    mixer: str | None
    """Class of what mixes positions instead of attention; None if nothing does."""
    feedforward: FeedforwardFacts | None
    """None in a block that has none (some hybrids take turns)."""
    position: str
    """As in `ModelInfo`."""
    n_parameters: int
    n_biases: int
    """Of the parameters, those in learned biases; the biases of norms are among them."""

    def norms_at(self, *places: Place) -> tuple[NormFacts, ...]:
        """Return the norms at some places."""
        return tuple(norm for norm in self.norms if norm.place in places)

    @property
    def main_norms(self) -> tuple[NormFacts, ...]:
        """The norms on the way of the residual stream, without those inside a part."""
        return tuple(
            norm for norm in self.norms if norm.place.startswith(("before", "after", "on the sum"))
        )


ORIGINAL_2017 = BlockFacts(
    layer=0,
    path="",
    wiring="post",
    norms=(
        NormFacts("on the sum after attention", "LayerNorm", ""),
        NormFacts("on the sum after feedforward", "LayerNorm", ""),
    ),
    attention=AttentionFacts("multi-head", 8, 8, 64, None, False, ""),
    mixer=None,
    feedforward=FeedforwardFacts("relu", False, 2048, True, None, None, False),
    position="sinusoidal",
    n_parameters=4 * 512 * 512 + (2 * 512 * 2048 + 2048 + 512) + 2 * 2 * 512,
    n_biases=2048 + 512 + 2 * 512,
)
"""The block of the base model in "Attention Is All You Need" (Vaswani et al. 2017, sections 3.1 to
3.5 and table 3), without the attention to an encoder that a model with a decoder alone lacks.
Equation 2 gives the feedforward its biases; the projections of the heads are plain matrices."""


def feedforward_name(activation: str, gated: bool) -> str:
    """Return the common name of a feedforward's activation and gate."""
    known = activation.lower()
    for key, plain, with_gate in (
        ("relu2", "ReLU²", "gated ReLU²"),
        ("relu_squared", "ReLU²", "gated ReLU²"),
        ("gelu", "GELU", "GeGLU"),
        ("silu", "SiLU", "SwiGLU"),
        ("swish", "SiLU", "SwiGLU"),
        ("swiglu", "SwiGLU", "SwiGLU"),
        ("relu", "ReLU", "ReGLU"),
    ):
        if key in known:
            return with_gate if gated else plain
    return f"gated {activation}" if gated else activation


def block_facts(model: HookedModel) -> tuple[BlockFacts, ...]:
    """Return what each block of a model is made of, by running a few tokens through it once.

    A block that runs several times is there as often, with the same facts.
    """
    blocks = model.anatomy.blocks
    watched = [m for block in blocks for m in _watched(block)]
    ids = [i % model.info.vocab_size for i in (1, 2, 3, 5, 8, 13)]
    with calls_of(dict.fromkeys(watched)) as calls:
        trace = model.trace(ids)
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
    parts = [*_mixing_modules(block), *(m for _, m in feedforward_parts(block))]
    return [*linear, *parts, *(child for part in parts for child in part.children())]


def _facts(model: HookedModel, block: BlockAnatomy, layer: LayerTrace, calls: Calls) -> BlockFacts:
    attention = _attention(model, block, layer)
    return BlockFacts(
        layer=layer.layer,
        path=block.path,
        wiring=block.wiring,
        norms=tuple(_norms(block, layer, calls, model)),
        attention=attention,
        mixer=None if attention else _mixer(block),
        feedforward=_feedforward(model, block),
        position=model.info.position,
        n_parameters=sum(p.numel() for p in block.module.parameters()),
        n_biases=sum(p.numel() for name, p in block.module.named_parameters() if _is_bias(name)),
    )


def _norms(
    block: BlockAnatomy, layer: LayerTrace, calls: Calls, model: HookedModel
) -> Iterator[NormFacts]:
    mixing = {m for part in _mixing_modules(block) for m in part.modules()}
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
        bias=_has_bias(block.attention),
        path=block.attention_path or "",
    )


def _only_feeds(block: BlockAnatomy) -> bool:
    """Whether a block is a feedforward alone (Nemotron-H takes turns)."""
    return block.attention is None and block.attn_out is None and block.mlp_out is not None


def _mixer(block: BlockAnatomy) -> str | None:
    if _only_feeds(block):
        return None
    tap = block.attn_out
    if tap is not None and not is_norm(tap.module):
        return type(tap.module).__name__
    known = r"mamba|recurrent|conv|linear_attn|delta|ssm|temporal|mixer|rwkv|time_mix"
    for name, module in block.module.named_modules():
        if name and re.search(known, f"{name} {type(module).__name__}".lower()):
            return type(module).__name__
    return None


def _is_bias(name: str) -> bool:
    # DeepSeek's routers have a "correction" that balances the experts.
    return name.endswith("bias") and "correction" not in name


def _has_bias(part: nn.Module) -> bool:
    """Whether a part adds a learned vector after a product; those of its norms do not count."""
    norms = {id(p) for m in part.modules() if is_norm(m) for p in m.parameters()}
    return any(
        _is_bias(name) and id(parameter) not in norms for name, parameter in part.named_parameters()
    )


def _feedforward(model: HookedModel, block: BlockAnatomy) -> FeedforwardFacts | None:
    parts = [module for _, module in feedforward_parts(block)]
    if not parts:
        return None
    info = model.info
    n_experts = _count_experts(parts)
    width, gated = info.d_mlp, info.gated_mlp
    if not n_experts:
        width, gated = _width_and_gate(parts, info.d_model) or (width, gated)
    names = [name for part in parts for name, _ in part.named_modules()]
    return FeedforwardFacts(
        activation=info.activation,
        gated=gated,
        width=width,
        bias=any(_has_bias(part) for part in parts),
        n_experts=n_experts,
        experts_per_token=info.experts_per_token if n_experts else None,
        shared_expert=bool(n_experts) and any("shared_" in name for name in names),
    )


def feedforward_parts(block: BlockAnatomy) -> list[tuple[str, nn.Module]]:
    """Return the children of a block that make up its feedforward, with their names.

    They are what is called like one; where nothing is, all that is neither norm nor mixing.
    """
    mixing = {id(m) for m in _mixing_modules(block)}
    rest = [
        (name, child)
        for name, child in block.module.named_children()
        if id(child) not in mixing
        and not (block.attention is not None and any(m is block.attention for m in child.modules()))
        and not is_norm(child)
        and any(True for _ in child.parameters())
    ]
    named = [(n, m) for n, m in rest if _FEEDFORWARD.search(f"{n}".lower())]
    return named or rest


def _mixing_modules(block: BlockAnatomy) -> list[nn.Module]:
    """What mixes positions in a block: its attention, or what stands in its place."""
    if block.attention is not None:
        return [block.attention]
    if _only_feeds(block):
        return []
    tap = block.attn_out
    if tap is not None and not is_norm(tap.module):
        return [tap.module]
    kind = _mixer(block)
    return [m for m in block.module.children() if type(m).__name__ == kind]


def _count_experts(parts: list[nn.Module]) -> int | None:
    for part in parts:
        for name, module in [("", part), *part.named_modules()]:
            if not name.endswith("experts") or "shared" in name:
                continue
            if isinstance(module, nn.ModuleList):
                return len(module)
            stacked = [p.shape[0] for p in module.parameters() if p.ndim >= 2]
            numbers = [
                int(getattr(module, n)) for n in ("num_experts", "n_experts") if hasattr(module, n)
            ]
            if numbers or stacked:
                return (numbers or stacked)[0]
    return None


def _width_and_gate(parts: list[nn.Module], d_model: int) -> tuple[int, bool] | None:
    """Width of the hidden layer of a plain feedforward, and whether a gate multiplies it.

    What leads back to d_model tells the width; with a gate, twice as many rows lead in.
    """
    sizes = [
        module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]
        for part in parts
        for module in part.modules()
        if isinstance(module, (nn.Linear, Conv1D))
    ]
    widths = [n_in for n_in, n_out in sizes if n_out == d_model and n_in != d_model]
    if not widths:
        return None
    rows = sum(n for d, n in sizes if d == d_model and n in (widths[-1], 2 * widths[-1]))
    return widths[-1], rows >= 2 * widths[-1]


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
            for module in _mixing_modules(block):
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


def active_share(facts: FeedforwardFacts) -> float:
    """Return the share of a mixture's experts that run for one token; 1 without a mixture."""
    if not facts.n_experts or not facts.experts_per_token:
        return 1.0
    return min(1.0, facts.experts_per_token / facts.n_experts)


def cache_numbers_per_token(facts: AttentionFacts) -> int:
    """Return how many numbers one layer keeps per token: a key and a value per KV head."""
    return 2 * facts.n_kv_heads * facts.d_head


Topic = Literal[
    "norm place", "norm kind", "wiring", "attention", "window", "query and key norm", "positions",
    "activation", "gate", "experts", "biases", "mixing",
]  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One choice that a block makes otherwise than that of 2017."""

    topic: Topic
    then: str
    now: str


def differences(facts: BlockFacts, original: BlockFacts = ORIGINAL_2017) -> tuple[Difference, ...]:
    """Return the choices (not the sizes) in which a block differs from another one."""
    pairs: list[tuple[Topic, str, str]] = []
    if facts.wiring != "unknown":
        pairs += [
            ("norm place", norm_place(original), norm_place(facts)),
            ("wiring", _order(original), _order(facts)),
        ]
    pairs.append(("norm kind", _kinds(original), _kinds(facts)))
    attention = facts.attention
    if attention is None:
        pairs.append(("mixing", "attention", facts.mixer or "none: each token is alone here"))
    else:
        then = original.attention
        pairs += [
            ("attention", attention_name(then), attention_name(attention)),
            ("window", _window(then), _window(attention)),
            ("query and key norm", "none",
             "normalised" if facts.norms_at("on queries and keys") else "none"),
        ]  # fmt: skip
    pairs.append(("positions", original.position, facts.position))
    now, then = facts.feedforward, original.feedforward
    if now is not None:
        pairs += [
            ("activation", feedforward_name(then.activation, False),
             feedforward_name(now.activation, False)),
            ("gate", "no gate", "a gate" if now.gated else "no gate"),
            ("experts", "one network", _experts(now)),
        ]  # fmt: skip
    pairs.append(("biases", _biases(original), _biases(facts)))
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def norm_place(facts: BlockFacts) -> str:
    """Say where a block normalises: `before each part`, `after each sum` and so on."""
    places = {norm.place for norm in facts.main_norms}
    before = any(place.startswith("before") for place in places)
    after = any(place.startswith("after") for place in places)
    on_sum = any(place.startswith("on the sum") for place in places)
    words = [
        *(["before each part"] if before else []),
        *(["after each part"] if after else []),
        *(["on each sum"] if on_sum else []),
    ]
    return " and ".join(words) or "no norm found"


def attention_name(facts: AttentionFacts) -> str:
    """Name a kind of attention in words."""
    return f"{facts.kind} attention"


def _order(facts: BlockFacts) -> str:
    return "side by side" if facts.wiring == "parallel" else "one after the other"


def _kinds(facts: BlockFacts) -> str:
    return " and ".join(dict.fromkeys(norm.kind for norm in facts.main_norms)) or "none found"


def _window(facts: AttentionFacts) -> str:
    return "all earlier tokens" if facts.window is None else f"the last {facts.window:,} tokens"


def _experts(facts: FeedforwardFacts) -> str:
    if not facts.n_experts:
        return "one network"
    chosen = f"{facts.experts_per_token} of " if facts.experts_per_token else ""
    return f"{chosen}{facts.n_experts} experts"


def _biases(facts: BlockFacts) -> str:
    attention = facts.attention is not None and facts.attention.bias
    feedforward = facts.feedforward is not None and facts.feedforward.bias
    return {
        (True, True): "in attention and feedforward",
        (True, False): "in attention",
        (False, True): "in the feedforward",
    }.get((attention, feedforward), "none")
