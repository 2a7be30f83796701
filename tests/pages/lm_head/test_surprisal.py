"""What surprised the model is told in bits, ranks and as a perplexity."""

import numpy as np
import pytest

from model_hooks import Decoding
from model_hooks.host import Run
from model_hooks.read.choice import Surprisals
from pages.lm_head import surprisal
from pages.lm_head.seen import Seen
from pages.lm_head.surprisal import note, sentence

BITS = np.array([np.nan, 1.0, 5.0, 3.0])
FOUND = Surprisals(
    BITS, np.array([0, 1, 2, 9]), np.array([-1, 4, 6, 8]), np.array([np.nan, 0.5, 0.25, 0.5])
)


def test_the_perplexity_is_two_to_the_mean_of_the_bits_that_there_are():
    said = note(FOUND)
    assert "strongest: 5.0" in said
    assert "mean is 3.00 bits a token" in said
    assert "among 8.00 tokens" in said


@pytest.mark.parametrize(
    ("pos", "begins", "ends"),
    [
        (0, r"**\*a\*** is the first token", "so nothing predicts it."),
        (1, "**b** had a probability of **50.0%**: 1.00 bits, rank 1.", "expected most."),
        (2, "**c** had a probability of **3.12%**: 5.00 bits, rank 2.", " was t6 (25.0%)."),
        (3, "**d** had a probability of **12.5%**: 3.00 bits, rank 9.", " was t8 (50.0%)."),
    ],
)
def test_a_token_is_told_by_its_own_numbers_and_what_was_expected(monkeypatch, pos, begins, ends):
    monkeypatch.setattr(surprisal, "bold", lambda token_id: f"t{token_id}")
    seen = Seen(Run("tiny", (0, 1, 2, 3)), ("*a*", "b", "c", "d"), pos, Decoding(), (), 0)
    said = sentence(seen, FOUND)
    assert said.startswith(begins)
    assert said.endswith(ends)
