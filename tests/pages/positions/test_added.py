"""What vectors and biases say in words is what is in them."""

from dataclasses import replace

import numpy as np

from model_hooks import HookedModel
from model_hooks.read.positions import PositionTable, positions_of
from pages.positions.added import bias_in_words, vectors_in_words
from tests.tiny_models import build, tiny_tokenizer


def test_cosines_are_those_of_neighbours_within_the_trained_length():
    # Every vector a quarter turn after the one before: at right angles, at 16 the same again.
    angles = np.arange(40) * np.pi / 2
    vectors = np.stack([np.cos(angles), np.sin(angles)], -1)
    vectors[20:] = 7.0
    table = PositionTable(vectors, "wpe", 2, False)
    said = vectors_in_words(table, 20)
    assert "0 at distance 1, 1 at distance 16." in said
    assert "from position 20 on are still as random" in said
    assert "The first 2 rows of the table are not positions." in said
    assert "Checked" not in said
    assert "Checked" in vectors_in_words(replace(table, exact=True), 20)


def test_a_head_loses_its_slope_per_token():
    facts = positions_of(HookedModel.wrap(build("mpt"), tiny_tokenizer()))
    said = bias_in_words(facts, 0)  # Press et al. 2022: with four heads, the first slope is 1/4
    assert "**0.25** off a score per token" in said
    assert "must score 4 more" in said
    assert "no straight line" in bias_in_words(replace(facts, slopes=None), 0)
