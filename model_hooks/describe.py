"""Read ModelInfo from a model's config and modules."""

import torch
from torch import nn
from transformers import PreTrainedModel

from model_hooks.anatomy import Anatomy, BlockAnatomy
from model_hooks.flops import count_experts
from model_hooks.info import ModelInfo


def describe(model: PreTrainedModel, anatomy: Anatomy, name: str) -> ModelInfo:
    """Return the facts about a dissected model."""
    config = model.config.get_text_config(decoder=True)
    n_heads = int(_first(config, "num_attention_heads", "n_head", default=1))
    d_model = int(_first(config, "hidden_size", "n_embd", "d_model", default=0))
    d_head = _first(config, "head_dim", default=None) or d_model // n_heads
    n_kv_heads = _first(config, "num_key_value_heads", "num_kv_heads", default=None)
    if getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", 0):
        n_kv_heads = 1
    head = model.get_output_embeddings().weight
    return ModelInfo(
        name=name,
        family=model.config.model_type,
        n_layers=len(anatomy.blocks),
        n_heads=n_heads,
        n_kv_heads=int(n_kv_heads or n_heads),
        d_model=d_model,
        d_head=int(d_head),
        d_mlp=_first(
            config, "moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim", default=None
        )
        or 4 * d_model,
        vocab_size=head.shape[0],
        context_size=_context_size(config),
        position=_position(model, config, anatomy),
        norm=_norm(anatomy),
        norm_placement=_norm_placement(anatomy),
        activation=str(
            _first(
                config,
                "hidden_activation",
                "hidden_act",
                "activation_function",
                "afn",
                default="unknown",
            )
        ),
        gated_mlp=_is_gated(anatomy.blocks[-1]),
        parallel=anatomy.blocks[0].wiring == "parallel",
        n_experts=count_experts(config),
        experts_per_token=_first(config, "num_experts_per_tok", default=None),
        sliding_window=_sliding_windows(config, len(anatomy.blocks)),
        attention_layers=tuple(
            i for i, block in enumerate(anatomy.blocks) if block.attention is not None
        ),
        tied_embeddings=head.data_ptr() == model.get_input_embeddings().weight.data_ptr(),
        n_parameters=sum(p.numel() for p in model.parameters()),
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
    )


def _first(config: object, *names: str, default: object) -> object:
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
        default=None,
    )
    return int(size) if size else None


def _position(model: PreTrainedModel, config: object, anatomy: Anatomy) -> str:
    names = [type(module).__name__.lower() for module in model.modules()]
    if any("rotary" in name for name in names) or hasattr(config, "rotary_dim"):
        return "rope"
    if getattr(config, "alibi", False) or any(
        hasattr(m, "build_alibi_tensor") for m in model.modules()
    ):
        return "alibi"
    token_embedding = model.get_input_embeddings()
    for module in anatomy.decoder.modules():
        if isinstance(module, nn.Embedding) and module is not token_embedding:
            return "learned"
    return "none"


def _norm(anatomy: Anatomy) -> str:
    for module in anatomy.blocks[0].module.modules():
        name = type(module).__name__
        if "RMSNorm" in name:
            return "RMSNorm"
        if isinstance(module, nn.LayerNorm) or "LayerNorm" in name:
            weight = getattr(module, "weight", None)
            if weight is not None and not isinstance(module, nn.LayerNorm):
                return "LayerNorm" if _centres(module, weight) else "RMSNorm"
            return "LayerNorm"
    return "none"


@torch.inference_mode()
def _centres(module: nn.Module, weight: torch.Tensor) -> bool:
    """Whether a norm subtracts the mean: a constant vector tells."""
    constant = torch.ones(1, 1, weight.shape[-1], dtype=weight.dtype, device=weight.device)
    return float(module(constant).abs().max()) < 1e-2


def _norm_placement(anatomy: Anatomy) -> str:
    block = anatomy.blocks[0]
    if block.wiring == "post":
        return "post"
    norm_out = block.attn_out is not None and "norm" in block.attn_out.path.rsplit(".")[-1]
    first = next((name for name, _ in block.module.named_children()), "")
    del first
    return "pre and post" if norm_out else "pre"


def _is_gated(block: BlockAnatomy) -> bool:
    names = [name.lower() for name, _ in block.module.named_parameters()]
    return any("gate_up" in n or "gate_proj" in n or ".w3" in n for n in names)


def _sliding_windows(config: object, n_layers: int) -> tuple[int | None, ...]:
    window = getattr(config, "sliding_window", None)
    types = getattr(config, "layer_types", None)
    if types:
        return tuple(window if t == "sliding_attention" else None for t in types[:n_layers])
    if not window or getattr(config, "use_sliding_window", True) is False:
        return (None,) * n_layers
    return (int(window),) * n_layers
