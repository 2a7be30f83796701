"""A model with a byte-level tokenizer of three merges."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks import HookedModel

END = "<|endoftext|>"
MERGES = [("h", "e"), ("Ġ", "t"), ("Ġt", "he")]


@pytest.fixture(scope="module")
def byte_bpe():
    """Token IDs 0 to 255 are the bytes; three merges; `<|endoftext|>` before every text."""
    vocab = {char: byte for byte, char in bytes_to_unicode().items()}
    vocab |= {left + right: 256 + rank for rank, (left, right) in enumerate(MERGES)}
    backend = Tokenizer(BPE(vocab, MERGES))
    backend.add_special_tokens([END])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, 259)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=END)


@pytest.fixture(scope="module")
def hooked(request, byte_bpe, tokenizer):
    """A model with the byte-level tokenizer, or with the one for whole words."""
    whole_words = getattr(request, "param", None) == "words"
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=260, num_attention_heads=2, max_position_embeddings=64, **sizes)
    model = LlamaForCausalLM(config)
    return HookedModel.wrap(model, tokenizer if whole_words else byte_bpe, "tiny")
