"""Models of realistic size with random weights: good for timing, not for reading."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from model_hooks.experiments.untrained import gpt2_124m, numbers_tokenizer

__all__ = ["SIZED", "build", "gpt2_124m", "llama_gqa_120m", "numbers_tokenizer"]


def llama_gqa_120m() -> PreTrainedModel:
    """A Llama of GPT-2's size whose 12 query heads share 4 key/value heads."""
    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config)


SIZED = {"GPT-2 124M": gpt2_124m, "Llama GQA 120M": llama_gqa_120m}


def build(name: str) -> PreTrainedModel:
    """Build one of `SIZED`, the same weights each time."""
    torch.manual_seed(0)
    return SIZED[name]().eval()
