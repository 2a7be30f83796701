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
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


def tiny(family: str):
    """Return a model with random weights of some size."""
    torch.manual_seed(0)
    sizes = _GPT2 if family == "gpt2" else _SIZES
    config = AutoConfig.for_model(
        family, vocab_size=N_VOCAB, bos_token_id=None, eos_token_id=N_VOCAB - 1, **sizes
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model


def write_gguf(path: Path, model, kind: Kind) -> None:
    """Write a model to a GGUF file, and put the numbers that the file holds into the model.

    Args:
        path: The file.
        model: From `tiny`.
        kind: How its matrices are stored; vectors are stored in float32.
    """
    family, config = model.config.model_type, model.config
    writer = gguf.GGUFWriter(str(path), family)
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", heads)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(256 if family == "gpt2" else 96)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    if family == "gpt2":
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(1e-6)
        writer.add_rope_freq_base(10000.0)
    _write_vocabulary(writer)
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == family)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            stem, _, last = key.rpartition(".")
            stored = _as_stored(family, key, parameter.numpy(), heads, kv_heads)
            of = kind if stored.ndim > 1 and not key.endswith("wpe.weight") else Kind.F32
            raw = gguf.quants.quantize(np.ascontiguousarray(stored), of)
            writer.add_tensor(f"{names.get_name(stem)}.{last}", raw, raw_dtype=of)
            held = gguf.quants.dequantize(raw, of)
            parameter.copy_(torch.tensor(_as_in_model(family, key, held, heads, kv_heads)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
    if family == "llama" and ("q_proj" in key or "k_proj" in key):
        n = heads if "q_proj" in key else kv_heads
        return weight.reshape(n, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
    return weight


def _as_in_model(family, key, stored, heads, kv_heads):
    if family == "llama" and ("q_proj" in key or "k_proj" in key):
        n = heads if "q_proj" in key else kv_heads
        return stored.reshape(n, -1, 2, *stored.shape[1:]).swapaxes(1, 2).reshape(stored.shape)
    return _as_stored(family, key, stored, heads, kv_heads)
