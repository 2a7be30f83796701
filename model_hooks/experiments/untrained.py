"""How is a model of a realistic size had without a download? With random weights.

It is good for timing, not for reading, and is opened by a name like any other.
"""

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast

from model_hooks.errors import ModelTooLargeError
from model_hooks.loading import free_bytes, load_model
from model_hooks.model import HookedModel
from model_hooks.opening.allowed import check_allowed
from model_hooks.opening.alone import building

GPT2_BYTES = 1.2e9
"""What the weights of GPT-2 small take in float32 while they are drawn, and what runs take."""

UNTRAINED_GPT2 = "GPT-2 size, untrained"
"""The name that it is opened by; no folder and no Hub id can have it."""
GPT2_CONTEXT = GPT2Config().n_positions
GPT2_VOCABULARY = GPT2Config().vocab_size


def gpt2_124m() -> PreTrainedModel:
    """GPT-2 small with random weights: 12 layers of 12 heads, d_model 768."""
    return GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None))


def numbers_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are numbers: random weights have no words."""
    vocab = {str(i): i for i in range(vocab_size)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocab, unk_token="0")))


def untrained_gpt2() -> HookedModel:
    """Build a model of GPT-2's size, the same random weights each time.

    Raises:
        ModelTooLargeError: Too little memory is free.
    """
    if (free := free_bytes("cpu")) < GPT2_BYTES:
        raise ModelTooLargeError(
            f"A model of GPT-2's size needs about {GPT2_BYTES / 1e9:.1f} GB, but only "
            f"{free / 1e9:.1f} GB of memory are free."
        )
    with building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = gpt2_124m().eval()
        tokenizer = numbers_tokenizer(model.config.vocab_size)
        return HookedModel.wrap(model, tokenizer, UNTRAINED_GPT2)


def open_model(name: str) -> HookedModel:
    """Load a model as `load_model` does, or build the one of that name with random weights.

    Raises:
        ModelError: It cannot be loaded or built; the message says why.
    """
    check_allowed(name)
    return untrained_gpt2() if name == UNTRAINED_GPT2 else load_model(name)
