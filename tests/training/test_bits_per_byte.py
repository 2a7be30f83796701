import math
from types import SimpleNamespace

import pytest
import torch

from training.bits_per_byte import score
from training.tokenizer import train_tokenizer


class Even(torch.nn.Module):
    """Gives every token of the vocabulary the same probability."""

    def __init__(self, vocab_size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(vocab_size))

    def forward(self, input_ids, **_):
        return SimpleNamespace(logits=self.weight.expand(*input_ids.shape, -1))


@pytest.mark.parametrize("context", [8, 9, 64])
def test_an_even_guess_over_bytes_costs_its_logarithm_whatever_the_context(context):
    tokenizer = train_tokenizer(["ab"], 257, 64)
    texts = ["abcdefghijklmnopqrstuvwxyz", "é", "abcdefg", "abcdefgh"]
    result = score(Even(257), tokenizer, texts, context)
    assert result.n_tokens == result.n_bytes == 43
    assert result.bits_per_byte == pytest.approx(math.log2(257), rel=1e-5)
