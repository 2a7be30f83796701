"""Two-layer models with random weights and a word tokenizer: no download, no GPU."""

import jaxtyping
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

# Shapes and types are enforced in the tests; an int is a float, as for every type checker. (The
# option of jaxtyping's own plugin cannot take a checker with settings: it splits them at commas.)
jaxtyping.install_import_hook(
    ["viz", "model_hooks", "pages"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

from model_hooks import HookedModel, Trace  # noqa: E402

WORDS = ["<unk>", "the", "cat", "sat", "on", "mat", "dog"]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")


def tiny_gpt2() -> GPT2LMHeadModel:
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32}
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=len(WORDS), bos_token_id=None, eos_token_id=None, **sizes)
    )


def tiny_llama() -> LlamaForCausalLM:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}  # grouped-query attention
    sizes = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32}
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            max_position_embeddings=64,
            bos_token_id=None,
            eos_token_id=None,
            **heads,
            **sizes,
        )
    )


def with_random_weights(make) -> PreTrainedModel:
    """Build a model whose weights are large enough that attention is far from uniform."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "emb" not in name and "wte" not in name:
                parameter.mul_(8)
    return model


@pytest.fixture(scope="session")
def tiny_model() -> PreTrainedModel:
    """A plain model that nothing has hooked."""
    return with_random_weights(tiny_llama)


@pytest.fixture(scope="session", params=[tiny_gpt2, tiny_llama], ids=["gpt2", "llama"])
def hooked(request, tokenizer) -> HookedModel:
    return HookedModel.wrap(with_random_weights(request.param), tokenizer, "tiny")


@pytest.fixture
def trace(hooked) -> Trace:
    return hooked.trace("the cat sat on the mat")
