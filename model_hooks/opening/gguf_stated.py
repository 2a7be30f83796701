"""What does a GGUF file say of its model that transformers does not take from it?

Its shape and its rotation: dropped, the model would compute something else, without a word.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from transformers import PreTrainedConfig
from transformers.integrations.gguf.reader import GgufHeader, read_gguf_metadata

_FIELDS = {
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
"""What llama.cpp calls a field of a config."""
_DIVISORS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")
"""Tensors with what each frequency of the rotation is divided by."""
_LLAMA3 = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""What all models of Llama 3.1 to 3.3 are published with."""


def take_as_stated(config: PreTrainedConfig, path: Path) -> None:
    """Put into a config what a file says of its model and the loader leaves out.

    Args:
        config: What transformers made of the file; changed.
        path: The file.
    """
    metadata, tensors = read_gguf_metadata(str(path))
    architecture = f"{metadata.get('general.architecture')}."
    said = {
        key.removeprefix(architecture): value
        for key, value in metadata.items()
        if key.startswith(architecture)
    }
    for key, field in _FIELDS.items():
        if said.get(key) and hasattr(config, field):
            setattr(config, field, said[key])
    if hasattr(config, "query_pre_attn_scalar"):
        config.query_pre_attn_scalar = _query_size(config)
    pad = getattr(config, "pad_token_id", None)
    if pad is not None and not 0 <= pad < config.get_text_config().vocab_size:
        config.pad_token_id = metadata.get("tokenizer.ggml.padding_token_id")
    _take_rotation(config, said, _divisors(path) if set(_DIVISORS) & set(tensors) else {})


def _query_size(config: PreTrainedConfig) -> int:
    """Return by whose root Gemma's scores are divided: no file says so, llama.cpp knows it.

    That of a head, but for the models of 27B parameters (llama.cpp's src/models/gemma*.cpp).
    """
    n_layers_of_27b = 46 if config.model_type == "gemma2" else 62
    if config.num_hidden_layers == n_layers_of_27b:
        return config.hidden_size // config.num_attention_heads
    return config.head_dim


def _take_rotation(
    config: PreTrainedConfig, said: dict[str, Any], divisors: dict[str, np.ndarray]
) -> None:
    """Put how positions are turned into a config; of several ways, the one for whole texts."""
    ways: dict[str, Any] | None = getattr(config, "rope_parameters", None)
    if ways is None:
        return
    way = ways.get("full_attention", ways)
    if "sliding_attention" in ways and (base := said.get("rope.freq_base_swa")):
        ways["sliding_attention"]["rope_theta"] = base
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if (turned := said.get("rope.dimension_count", head_dim)) < head_dim:
        way["partial_rotary_factor"] = turned / head_dim
    way |= _scaling(way["rope_theta"], said, divisors)
    trained = way.get("original_max_position_embeddings")
    if trained and hasattr(config, "original_max_position_embeddings"):
        config.original_max_position_embeddings = trained  # Phi's, which counts before the way's


def _scaling(base: float, said: dict[str, Any], divisors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the rotation's fields for texts that are longer than those of the training."""
    original = said.get("rope.scaling.original_context_length")
    every, short, long = (divisors.get(name) for name in _DIVISORS)
    if every is not None and (llama3 := _as_llama3(base, every)):
        return llama3
    if every is not None:
        short = long = every
    if short is not None and long is not None:
        return {
            "rope_type": "longrope",
            "short_factor": [float(one) for one in short],
            "long_factor": [float(one) for one in long],
            "original_max_position_embeddings": original or said["context_length"],
            "attention_factor": float(said.get("rope.scaling.attn_factor") or 1.0),
        }
    kind, factor = said.get("rope.scaling.type"), said.get("rope.scaling.factor")
    if kind not in ("linear", "yarn") or not factor:
        return {}
    more = {"original_max_position_embeddings": original} if original and kind == "yarn" else {}
    return {"rope_type": kind, "factor": float(factor), **more}


def _as_llama3(base: float, divisors: np.ndarray) -> dict[str, Any] | None:
    """Return the rule that makes these divisors; None if they are not those of Llama 3.

    The rule is `_compute_llama3_parameters` of transformers' modeling_rope_utils.py.
    """
    factor, trained = float(divisors.max()), _LLAMA3["original_max_position_embeddings"]
    low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
    turns = trained / (2 * math.pi * base ** (np.arange(len(divisors)) / len(divisors)))
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    made = 1 / ((1 - smooth) / factor + smooth)
    if factor <= 1 or not np.allclose(made, divisors, rtol=1e-3):
        return None
    return {"rope_type": "llama3", "factor": factor, **_LLAMA3}


def _divisors(path: Path) -> dict[str, np.ndarray]:
    try:
        header = GgufHeader.from_file(str(path))
    except ValueError:  # a way to store weights that transformers leaves to gguf's own reader
        tensors = GGUFReader(path).tensors
        return {
            tensor.name: np.array(tensor.data) for tensor in tensors if tensor.name in _DIVISORS
        }
    return {
        tensor.name: np.fromfile(
            path, np.float32, math.prod(tensor.shape), offset=header.data_start + tensor.offset
        )
        for tensor in header.tensors
        if tensor.name in _DIVISORS
    }
