"""What does a model's config say, and what do its modules show? The facts of ModelInfo."""

import re
from typing import Any, NamedTuple

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_hooks.errors import NotCausalError
from model_hooks.info import ModelInfo
from model_hooks.parts.anatomy import Anatomy, weight_of
from model_hooks.parts.experts import count_experts
from model_hooks.parts.norms import is_plain_norm, norm_kind


def describe(
    model: PreTrainedModel, anatomy: Anatomy, name: str, attention_layers: tuple[int, ...]
) -> ModelInfo:
    """Return the facts about a dissected model.

    Args:
        model: The model.
        anatomy: Its parts.
        name: What it was loaded as.
        attention_layers: The layers whose attention was recorded in a run.
    """
    config = model.config.get_text_config(decoder=True)
    heads = _heads(config)
    feedforward = _feedforward(config, anatomy, heads.d_model)
    return ModelInfo(
        name=name,
        family=model.config.model_type,
        n_layers=len(anatomy.blocks),
        n_heads=heads.n_heads,
        n_kv_heads=heads.n_kv_heads,
        d_model=heads.d_model,
        d_head=heads.d_head,
        d_mlp=feedforward.width,
        vocab_size=vocab_size_of(model),
        context_size=_context_size(config),
        position=_position(model, config, anatomy),
        norm=_norm(anatomy),
        norm_placement=anatomy.blocks[0].norm_placement,
        activation=_activation(config, anatomy),
        gated_mlp=feedforward.gated,
        parallel=anatomy.blocks[0].wiring == "parallel",
        n_experts=count_experts(config),
        experts_per_token=_first(config, "num_experts_per_tok", default=None),
        sliding_window=_sliding_windows(config, anatomy),
        attention_layers=attention_layers,
        tied_embeddings=_are_tied(model),
        n_parameters=sum(p.numel() for p in model.parameters()),
        dtype=str(model.dtype).removeprefix("torch."),
        bytes_per_number=model.dtype.itemsize,
        device=str(model.device),
    )


class _Heads(NamedTuple):
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int


def _heads(config: Any) -> _Heads:
    """How many heads there are, and how wide, by the names that families have for it."""
    n_heads = int(
        _first(config, "decoder_attention_heads", "num_attention_heads", "n_head", default=1)
    )
    d_model = int(_first(config, "hidden_size", "n_embd", "d_model", default=0))
    d_head = _first(config, "qk_head_dim", "head_dim", default=None) or d_model // n_heads
    n_kv_heads = _first(config, "num_key_value_heads", "num_kv_heads", default=None)
    if n_kv_heads is None:
        n_kv_heads = _first(getattr(config, "attn_config", None), "kv_n_heads", default=None)
    if getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", 0):
        n_kv_heads = 1
    return _Heads(n_heads, int(n_kv_heads or n_heads), d_model, int(d_head))


def vocab_size_of(model: PreTrainedModel) -> int:
    """Return how many logits a model computes: the rows of its LM head.

    Raises:
        NotCausalError: It has no LM head.
    """
    weight = weight_of(model.get_output_embeddings())
    if weight is None:
        raise NotCausalError(
            f"{type(model).__name__} has no LM head, so it predicts no token and is no causal "
            "language model."
        )
    return weight.shape[0]


def _are_tied(model: PreTrainedModel) -> bool:
    head = weight_of(model.get_output_embeddings())
    embedding = weight_of(model.get_input_embeddings())
    return head is not None and embedding is not None and head.data_ptr() == embedding.data_ptr()


def _first(config: object, *names: str, default: Any) -> Any:
    for name in names:
        try:
            value = getattr(config, name, None)
        except RuntimeError:  # transformers refuses a value that differs from layer to layer
            value = vars(config).get(name)
        if value is not None:
            return value
    return default


def _context_size(config: object) -> int | None:
    size = _first(
        config,
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "n_ctx",
        "seq_length",
        "max_target_positions",
        default=None,
    )
    return int(size) if size else None


def _position(model: PreTrainedModel, config: object, anatomy: Anatomy) -> str:
    decoder = anatomy.decoder
    alibi = _first(config, "alibi", default=None)
    if alibi is None:
        alibi = _first(getattr(config, "attn_config", None), "alibi", default=None)
    if alibi is None:
        alibi = any("alibi" in name for name in dir(type(decoder)))
    if alibi:
        return "alibi"
    classes = [type(module).__name__.lower() for module in decoder.modules()]
    if any("rotary" in name or "rope" in name for name in classes) or (
        _first(config, "rotary_dim", default=None)
    ):
        return "rope"
    names = [name.lower() for name, _ in decoder.named_modules()]
    names += [name.lower() for name, _ in decoder.named_parameters()]
    if any("sinusoidal" in name for name in classes) or hasattr(decoder, "pos_encoding"):
        return "sinusoidal"
    if any("relative" in name or "rel_" in name for name in names + classes):
        return "relative"
    if any(re.search(r"position|(^|[._])(pos|wpe)($|[._])", name) for name in names):
        return "learned"
    return "none"


def _norm(anatomy: Anatomy) -> str:
    """What the first norm of the first block computes."""
    block = anatomy.blocks[0].module
    for module in [*block.children(), *block.modules()]:
        if is_plain_norm(module):
            return norm_kind(module)
    return "none"


class _Feedforward(NamedTuple):
    width: int | None
    gated: bool


def _feedforward(config: object, anatomy: Anatomy, d_model: int) -> _Feedforward:
    """Width of the feedforward's hidden layer (of one expert), and whether a gate multiplies it.

    A projection back to d_model tells the width; a gated layer has twice as many rows leading in.
    """
    for block in reversed(anatomy.blocks):
        attention = {id(m) for m in block.attention.modules()} if block.attention else set()
        for module in block.module.modules():
            if id(module) in attention or not (sizes := _projections(module, d_model)):
                continue
            into, back = sizes
            for width in back:
                rows = sum(size for size in into if size in (width, 2 * width))
                if rows and width != d_model:
                    return _Feedforward(width, rows >= 2 * width)
    # Projections in modules of their own (BERT), or experts that are one long matrix (DBRX).
    width = _first(
        config, "moe_intermediate_size", "intermediate_size", "ffn_dim", "n_inner", default=None
    )
    names = [name.lower() for name, _ in anatomy.blocks[-1].module.named_parameters()]
    return _Feedforward(width, any("gate_" in name or name.endswith("v1") for name in names))


def _projections(module: nn.Module, d_model: int) -> tuple[list[int], list[int]] | None:
    """Widths that a module's own matrices lead to from d_model, and back from."""
    into, back = [], []
    for child in module.children():
        if isinstance(child, nn.Linear):
            n_in, n_out = child.in_features, child.out_features
        elif isinstance(child, Conv1D):
            n_in, n_out = child.weight.shape
        else:
            continue
        if n_in == d_model:
            into.append(n_out)
        if n_out == d_model:
            back.append(n_in)
    # The stacked matrices of experts: which axis is which differs, the larger one leads in.
    stacked = [p.shape for name, p in module.named_parameters(recurse=False) if p.ndim == 3]
    widths = [b if a == d_model else a for _, a, b in stacked if d_model in (a, b)]
    if len(widths) >= 2:
        into, back = sorted(widths)[1:], [min(widths)]
    return (into, back) if into and back else None


def _activation(config: object, anatomy: Anatomy) -> str:
    named = _first(
        config,
        "hidden_activation",
        "hidden_act",
        "activation_function",
        "mlp_hidden_act",
        "activation",
        "afn",
        default=None,
    )
    if isinstance(named, str):
        return named
    for module in anatomy.blocks[-1].module.modules():
        name = type(module).__name__.lower()
        for known in ("gelu", "silu", "relu"):
            if known in name:
                return known
    return "unknown"


def _sliding_windows(config: object, anatomy: Anatomy) -> tuple[int | None, ...]:
    """How far each layer looks back: as its attention module says, else as the config does."""
    window = _first(config, "sliding_window", "window_size", "attention_window_size", default=None)
    kinds = _first(config, "layer_types", "attention_layers", default=()) or ()
    windows: list[int | None] = []
    for i, block in enumerate(anatomy.blocks):
        if block.attention is None:
            windows.append(None)
        elif (own := _own_window(block.attention)) is not _UNSAID:
            windows.append(own)
        elif i < len(kinds):
            windows.append(window if kinds[i] in ("sliding_attention", "local") else None)
        elif _first(config, "use_sliding_window", default=True) is False:
            windows.append(None)
        else:
            windows.append(window)
    return tuple(int(size) if size else None for size in windows)


_UNSAID = object()


def _own_window(attention: nn.Module) -> Any:
    for module in attention.modules():
        if "sliding_window" in vars(module):
            return module.sliding_window
    return _UNSAID
