"""Build a tiny random-weight model of any causal LM type that transformers knows.

The config class of the type is instantiated with every size shrunk by the name of its field, so
that a type released tomorrow is built by the same rules. Nothing here knows how models are traced.
"""

import re
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.pytorch_utils import Conv1D

CAUSAL_LM_TYPES: tuple[str, ...] = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
"""Every model type that `AutoModelForCausalLM` can build."""

FAMILIES: tuple[str, ...] = (
    "gpt2",
    "gpt_neo",
    "gptj",
    "gpt_neox",
    "opt",
    "bloom",
    "mpt",
    "falcon",
    "phi",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3_text",
    "olmo2",
    "granite",
    "cohere",
    "stablelm",
    "smollm3",
    "gpt_oss",
    "mixtral",
)
"""The mainstream families: learned, rotary and ALiBi positions, sliding windows, a softcap,
attention sinks and a mixture of experts."""

VOCAB_SIZE = 160
PROMPT_IDS = range(10, 120)
"""Token ids that no tiny model uses as a special token."""

SLIDING_WINDOW = 8
CONTEXT_SIZE = 128
N_LAYERS = 4


class CannotBuildError(Exception):
    """This type has no tiny model: its message is one sentence that says why."""


# First match wins; a size is only ever made smaller.
_SIZES: tuple[tuple[str, int], ...] = (
    (r"(bos|decoder_start)_token_id$", 1),
    (r"eos_token_id$", 2),
    (r"pad_token_id$|padding_idx$|^pad_index$", 0),
    (r"unpadded_vocab_size", VOCAB_SIZE - 4),
    (r"encoder_hash_byte_group_vocab|ngram_vocab", 64),
    (r"make_ngram_vocab", 8),
    (r"split_ngram_parts", 4),
    (r"heads_per_ngram", 2),
    (r"type_vocab|segment_types|prompt_types", 4),
    (r"vocab_size|vocab_offset", VOCAB_SIZE),
    # rotary, sparse and latent attention
    (r"qk_nope_head_dim", 16),
    (r"qk_rope_head_dim|rotary_dim|rope_head_dim", 8),
    (r"v_head_dim", 12),
    (r"kv_lora_rank|o_lora_rank", 16),
    (r"q_lora_rank", 24),
    (r"o_groups", 2),
    (r"index_topk_blocks", 2),
    (r"index_topk", 8),
    (r"index_block_size", 8),
    (r"index_n_heads", 16),  # with few heads, scores tie at zero and the choice is arbitrary
    (r"index_head_dim", 16),
    # windows and context
    (r"keep_window", CONTEXT_SIZE),  # a choice over later keys too: only causal within the window
    (r"sliding_window_pattern|every_n_layers|_layer_(period|interval)|layer_group_size", 2),
    (r"_layer_offset|first_k_dense|num_dense_layers|moe_layer_start", 1),
    (r"sliding_window|window_size|local_attention$|attention_chunk|window_len", 8),
    (r"floor_scale|log_scaling_n_floor", 8),
    (r"rel_extent", 16),
    (
        r"max_.*position|n_positions|n_ctx|max_seq_len|context_length|model_max_len|max_distance",
        128,
    ),
    (r"num_position_embeddings", 64),
    # mixture of experts
    (r"num_experts_per_tok|moe_top_?k|moe_k$|top_k_experts", 2),
    (r"n_group$|num_expert_group|topk_group", 1),
    (r"shared_expert.*intermediate|moe_intermediate|shared_intermediate", 32),
    (r"expert_ffn_hidden", 32),
    (r"shared_experts", 1),
    (r"experts|zero_expert_num", 4),
    # state space and convolution
    (r"mamba_(d_head|head_?dim)", 16),
    (r"mamba_(n_heads|num_heads)", 8),
    (r"mamba_d_ssm|attention_hidden_size|lru_width", 64),
    (r"(d|ssm)_state|state_size", 8),
    (r"dt_rank|time_step_rank", 4),
    (r"chunk_size$", 8),
    (r"linear_num_key_heads", 2),
    (r"linear_num_(value_)?heads", 4),
    (r"linear_.*head_dim", 16),
    (r"(lora|low|laurel|adapter|gated_norm|hc_low).*rank", 8),
    # layers
    (r"(encoder|global)_layers|depth$|num_lstm_layers|num_blocks|conf_num_hidden_layers", 2),
    (r"kv_shared_layers", 1),
    (r"max_window_layers|num_layers_per_stack|layers_per_attn_res|_moe_layer_step", 2),
    (r"num_hidden_layers|n_layers?$|num_layers$|decoder_layers$", N_LAYERS),
    # heads
    (r"kv_n_heads|n_kv_heads|num_key_value_heads|num_kv_heads|num_query_groups", 2),
    (r"num_(attention_)?heads|n_heads?$|attention_heads$|n_mamba_heads", 4),
    (r"head_dim|d_kv|d_head|dim_head|kv_channels|attention_head_size", 16),
    # widths
    (r"intermediate_size|ffn_dim|d_ff|dff|dim_ff|ffn_hidden_size|feed_forward_size|d_inner", 96),
    (r"hidden_size_per_layer_input|ple_embed_dim|router_hidden", 16),
    (
        r"hidden_size|d_model|n_embd|embed_dim|emb_dim|embedding_(dim|size)|word_embed_proj_dim"
        r"|backbone_hidden|output_dim|embed_proj_dim|prompt_mid|input_dim|out_dim|in_dim|adapter_input_size",
        64,
    ),
    (r"image_size|crop_size", 32),
    (r"num_filters|base_channels|upsample_groups|codebook_(dim|size)", 32),
)
# Defaults of None that some config classes do not resolve by themselves.
_UNSET = {"head_dim": 16, "num_key_value_heads": 2}
_UNSET_EXPERTS = {
    "num_experts_per_tok": 2,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
}
_LEFT_ALONE = re.compile(r"token_(id|index)$|_index$|_layer_id$")


def build(model_type: str, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """Build a model of two to four layers with random weights, in float32, ready to run.

    The weights are drawn large enough for attention to be far from uniform, so that a wrong mask,
    scale or head order shows.

    Args:
        model_type: A name of `CAUSAL_LM_TYPES`.
        seed: Of the weights.
        **overrides: Config fields to set as given.

    Raises:
        CannotBuildError: No tiny model of this type can be built, or it is not a causal LM alone.
    """
    try:
        config = tiny_config(model_type, **overrides)
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=None)
    except CannotBuildError:
        raise
    except Exception as error:
        raise CannotBuildError(f"{type(error).__name__}: {_one_line(error)}") from error
    model = model.float().eval()
    _sharpen(model, seed)
    model.generation_config = GenerationConfig(pad_token_id=0)
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are the words w0, w1, ... of every tiny model."""
    words = models.WordLevel({f"w{i}": i for i in range(VOCAB_SIZE)}, unk_token="w9")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w9")


def tiny_prompt(length: int, seed: int = 0) -> list[int]:
    """Return token IDs that every tiny model takes for plain words."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(PROMPT_IDS.start, PROMPT_IDS.stop, (length,), generator=generator).tolist()


def tiny_config(model_type: str, **overrides: Any) -> PreTrainedConfig:
    """Shrink the default config of a type; nested configs and lists per layer included."""
    config_class = CONFIG_MAPPING[model_type]
    tiny = _shrunk(config_class, overrides)
    tiny.is_decoder = True
    tiny.use_cache = True
    return tiny


_SPECIAL_CASES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
    },
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "dots3_note_text": {
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 4,
        "swa_q_lora_rank": 24,
        "swa_kv_lora_rank": 16,
        "swa_head_dim": 24,
        "swa_qk_nope_head_dim": 16,
        "swa_v_head_dim": 12,
        "num_key_value_heads": 4,
        "head_dim": 24,
    },
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "moshi": {"sliding_window": CONTEXT_SIZE},  # its cache honours the window, its mask does not
    "gpt_neo": {"attention_types": [[["global", "local"], N_LAYERS // 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * (N_LAYERS // 2)},
    "lfm2": {"layer_types": ["conv", "full_attention"] * (N_LAYERS // 2)},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * (N_LAYERS // 2)},
    "mamba2": {"num_heads": 8, "head_dim": 16},
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
    "reformer": {
        "axial_pos_embds_dim": [32, 32],
        "axial_pos_shape": [8, 16],
        "attn_layers": ["local", "lsh"],
    },
    "xlm": {"causal": True},
    "xmod": {"default_language": "en_XX"},
}
"""Settings that no rule about names can guess."""


def _shrunk(config_class: type[PreTrainedConfig], overrides: dict[str, Any]) -> PreTrainedConfig:
    default = _default(config_class)
    latent = "kv_lora_rank" in vars(default)
    sizes: dict[str, Any] = {}
    for field in fields(config_class):
        if not field.init:
            continue
        value = None if field.default is MISSING else field.default
        nested = vars(default).get(field.name)
        if isinstance(nested, PreTrainedConfig):
            sizes[field.name] = _shrunk(type(nested), {})
        elif value is None and field.name in _UNSET_EXPERTS:
            sizes[field.name] = _UNSET_EXPERTS[field.name]
        elif value is None and field.name in _UNSET and not latent:
            sizes[field.name] = _UNSET[field.name]
        elif (small := _small(field.name, value)) != value:
            sizes[field.name] = small
    if vars(default).get("head_dim") == vars(default).get("qk_rope_head_dim", "none"):
        sizes["head_dim"] = sizes["qk_rope_head_dim"]  # latent attention: the rotated part
    if {"encoder_layers", "decoder_layers"} <= vars(default).keys():
        sizes |= {"encoder_layers": N_LAYERS, "decoder_layers": N_LAYERS}  # caches count the former
    if "attention_multiplier" in vars(default):
        sizes["attention_multiplier"] = 0.25  # the usual 1 / sqrt(16); 1 would leave one-hot rows
    if latent and "num_key_value_heads" in sizes:
        sizes["num_key_value_heads"] = sizes["num_attention_heads"]
    sizes |= _SPECIAL_CASES.get(config_class.model_type, {}) | overrides
    return _with_every_kind_of_layer(config_class, sizes, default)


@cache
def _default(config_class: type[PreTrainedConfig]) -> PreTrainedConfig:
    return config_class()


def _small(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    size = next((size for pattern, size in _SIZES if re.search(pattern, name)), None)
    if size is not None:
        return min(value, size)
    if _LEFT_ALONE.search(name) and value >= PROMPT_IDS.stop:
        return PROMPT_IDS.stop + value % (VOCAB_SIZE - PROMPT_IDS.stop)
    return value


def _with_every_kind_of_layer(
    config_class: type[PreTrainedConfig], sizes: dict[str, Any], default: PreTrainedConfig
) -> PreTrainedConfig:
    """Set lists with one entry per layer so that every kind of layer is still there."""
    n_default, n_tiny = default_layers = (_n_layers(default), min(_n_layers(default), N_LAYERS))
    if 0 in default_layers:
        return config_class(**sizes)
    for field in fields(config_class):
        value = vars(default).get(field.name)
        if (
            field.init
            and field.name not in sizes
            and isinstance(value, list)
            and len(value) == n_default
        ):
            picked = _sample_of_each(value, n_tiny)
            sizes[field.name] = [_small(field.name, item) for item in picked]
    return config_class(**sizes)


def _sample_of_each(items: list, n: int) -> list:
    """Repeat the distinct items in turn."""
    kinds = [item for i, item in enumerate(items) if item not in items[:i]]
    return [kinds[i % len(kinds)] for i in range(n)]


def _n_layers(config: PreTrainedConfig) -> int:
    return getattr(config, "num_hidden_layers", None) or 0


def _sharpen(model: PreTrainedModel, seed: int) -> None:
    """Redraw weights: unit-variance embeddings, projections that keep variance, uneven norms."""
    generator = torch.Generator().manual_seed(seed)

    def draw(weight: torch.Tensor, std: float, mean: float = 0.0) -> None:
        weight.normal_(mean, std, generator=generator)

    head = model.get_output_embeddings()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                draw(module.weight, 0.5)
            elif module is head:
                continue
            elif isinstance(module, nn.Linear | Conv1D):
                n_in = module.weight.shape[1 if isinstance(module, nn.Linear) else 0]
                draw(module.weight, 1.5 / n_in**0.5)
                if module.bias is not None:
                    draw(module.bias, 0.1)
            elif "Norm" in type(module).__name__ and getattr(module, "weight", None) is not None:
                module.weight.mul_(1 + 0.2 * torch.randn(module.weight.shape, generator=generator))
            for name, weight in module.named_parameters(recurse=False):
                stacked = "proj" in name or not isinstance(module, nn.Conv1d)
                if weight.ndim == 3 and stacked:  # the experts of a mixture
                    draw(weight, 1.5 / max(weight.shape[1:]) ** 0.5)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no message"
