"""Models of realistic size with random weights: good for timing, not for reading."""

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)


def gpt2_124m() -> PreTrainedModel:
    """GPT-2 small: 12 layers of 12 heads, d_model 768."""
    return GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None))


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


def numbers_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are numbers: the benchmarks only pass token IDs."""
    vocab = {str(i): i for i in range(vocab_size)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocab, unk_token="0")))
