"""Tiny GGUF files, written by llama.cpp's own Python package as its converter writes them."""

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("t", "h"), ("th", "e"), ("c", "a"), ("ca", "t")]
END = "<|end|>"
TOKENS = [*LETTERS, *map("".join, MERGES), END]
N_VOCAB = len(TOKENS)
_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
_GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 1024}
_WITH_HEADS = {"head_dim": 32}
_GEMMA = {
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 8,
    "tie_word_embeddings": True,
}
_OF_FAMILY = {
    "qwen3": _WITH_HEADS,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "phi3": {"pad_token_id": 0},
    "mistral": {"sliding_window": None},
}
_ARCHITECTURES = {"gemma3_text": "gemma3", "mistral": "llama"}
"""What llama.cpp calls a family, where it is not transformers' name."""
_PERMUTED = ("llama", "mistral")
"""Whose queries and keys llama.cpp stores with the two halves of a turned pair side by side."""
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


def tiny(family: str, width: int = 64, **options):
    """Return a model with random weights of some size.

    Args:
        family: As transformers calls it.
        width: Of its vectors; some ways to store weights take 256 at a time.
        **options: Of its config.
    """
    torch.manual_seed(0)
    sizes = _SIZES | {"hidden_size": width, "intermediate_size": width + width // 2}
    sizes |= _OF_FAMILY.get(family, {}) | options
    if family == "gpt2":
        sizes = _GPT2 | {"n_embd": width}
    elif width % 256 == 0:
        sizes["intermediate_size"] = 256
    config = AutoConfig.for_model(
        family, vocab_size=N_VOCAB, bos_token_id=None, eos_token_id=N_VOCAB - 1, **sizes
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2 * (64 / width) ** 0.5)
    return model


_BLOCKS = {
    Kind.Q4_K: [("f2", 1, 0.0012), ("f2", 1, 0.009), ("u1", 12, 0), ("u1", 128, 0)],
    Kind.Q5_K: [("f2", 1, 0.0006), ("f2", 1, 0.009), ("u1", 12, 0), ("u1", 160, 0)],
    Kind.Q6_K: [("u1", 128, 0), ("u1", 64, 0), ("i1", 16, 0), ("f2", 1, 0.0001)],
}
"""The parts of a block of 256 weights (ggml-common.h): a scale in float16, or random integers."""


def _stored(weight: np.ndarray, kind: Kind) -> np.ndarray:
    """Store a matrix; in a way that gguf cannot write, random blocks of about its size."""
    if kind not in _BLOCKS:
        return gguf.quants.quantize(np.ascontiguousarray(weight), kind)
    draw = np.random.default_rng(weight.size)
    n_blocks = weight.size // 256
    parts = []
    for dtype, count, scale in _BLOCKS[kind]:
        if scale:
            part = np.full((n_blocks, count), scale, np.float16)
        else:
            n_bytes = (n_blocks, count * np.dtype(dtype).itemsize)
            part = draw.integers(0, 256, n_bytes, np.uint8)
        parts.append(part.view(np.uint8))
    return np.concatenate(parts, axis=1).reshape(*weight.shape[:-1], -1)


def write_gguf(path: Path, model, kind: Kind) -> None:
    """Write a model to a GGUF file, and put the numbers that the file holds into the model.

    Args:
        path: The file.
        model: From `tiny`.
        kind: How its matrices are stored; vectors are stored in float32.
    """
    family, config = model.config.model_type, model.config
    architecture = _ARCHITECTURES.get(family, family)
    writer = gguf.GGUFWriter(str(path), architecture)
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", heads)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(
        4 * config.hidden_size if family == "gpt2" else config.intermediate_size
    )
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    if family == "gpt2":
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(_base(config))
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        part = config.rope_parameters.get("partial_rotary_factor", 1)
        writer.add_rope_dimension_count(int(head_dim * part))
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        if getattr(config, "sliding_window", None):
            writer.add_sliding_window(config.sliding_window)
        for key in ("attn_logit_softcapping", "final_logit_softcapping"):
            if getattr(config, key, None):
                getattr(writer, f"add_{key}")(getattr(config, key))
        _write_rotation(writer, model)
    _write_vocabulary(writer)
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            stem, _, last = key.rpartition(".")
            stored = _as_stored(family, key, parameter.numpy(), heads, kv_heads)
            of = kind if stored.ndim > 1 and not key.endswith("wpe.weight") else Kind.F32
            raw = _stored(stored, of)
            writer.add_tensor(f"{_name_of(names, stem)}.{last}", raw, raw_dtype=of)
            held = gguf.quants.dequantize(raw, of)
            parameter.copy_(torch.tensor(_as_in_model(family, key, held, heads, kv_heads)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _base(config) -> float:
    """The base of the rotation; of several, that of the layers that read everything."""
    found = config.rope_parameters
    return found.get("full_attention", found)["rope_theta"]


def _write_rotation(writer: gguf.GGUFWriter, model) -> None:
    """Write how texts beyond the training are turned, as llama.cpp's converter does."""
    ways = model.config.rope_parameters
    way = ways.get("full_attention", ways)
    kind = way.get("rope_type", "default")
    if "sliding_attention" in ways:
        writer.add_rope_freq_base_swa(ways["sliding_attention"]["rope_theta"])
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(way["factor"])
        if kind == "yarn":
            writer.add_rope_scaling_orig_ctx_len(way["original_max_position_embeddings"])
    if kind == "llama3":
        turned = model.model.rotary_emb.inv_freq.numpy()
        plain = way["rope_theta"] ** -(np.arange(len(turned)) / len(turned))
        writer.add_tensor("rope_freqs.weight", (plain / turned).astype(np.float32))
    if kind == "longrope":
        writer.add_rope_scaling_orig_ctx_len(way["original_max_position_embeddings"])
        writer.add_rope_scaling_attn_factors(model.model.rotary_emb.attention_scaling)
        for length in ("short", "long"):
            factors = np.array(way[f"{length}_factor"], np.float32)
            writer.add_tensor(f"rope_factors_{length}.weight", factors)


def _name_of(names, stem: str) -> str:
    found = names.get_name(stem)
    assert found is not None, stem
    return found


def _write_vocabulary(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([1] * (N_VOCAB - 1) + [3])
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_eos_token_id(N_VOCAB - 1)
    writer.add_bos_token_id(N_VOCAB - 1)
    writer.add_uint32("tokenizer.ggml.eot_token_id", 0)
    writer.add_chat_template(TEMPLATE)


def _as_stored(family, key, weight, heads, kv_heads):
    if family == "gpt2":
        return weight.T if (weight.ndim > 1 and ".c_" in key) or ".c_attn.w" in key else weight
    if family.startswith("gemma") and key.endswith("norm.weight"):
        return weight + 1  # llama.cpp multiplies by what is stored alone
    if family in _PERMUTED and ("q_proj" in key or "k_proj" in key):
        n = heads if "q_proj" in key else kv_heads
        return weight.reshape(n, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
    return weight


def _as_in_model(family, key, stored, heads, kv_heads):
    if family.startswith("gemma") and key.endswith("norm.weight"):
        return stored - 1
    if family in _PERMUTED and ("q_proj" in key or "k_proj" in key):
        n = heads if "q_proj" in key else kv_heads
        return stored.reshape(n, -1, 2, *stored.shape[1:]).swapaxes(1, 2).reshape(stored.shape)
    return _as_stored(family, key, stored, heads, kv_heads)
