"""What surprised the model is told in bits, ranks and as a perplexity."""

import numpy as np

from model_hooks.read.choice import Surprisals
from pages.lm_head.surprisal import note


def test_the_perplexity_is_two_to_the_mean_of_the_bits_that_there_are():
    bits = np.array([np.nan, 1.0, 5.0, 3.0])
    said = note(Surprisals(bits, np.zeros(4, int), np.zeros(4, int), bits))
    assert "strongest: 5.0 bits" in said
    assert "mean is 3.00 bits a token" in said
    assert "among 8.0 equally good" in said
