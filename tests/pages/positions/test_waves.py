"""Wavelengths follow the base, and say what never comes around."""

import numpy as np

from model_hooks.read.rotation import Rotation, paired
from pages.positions.waves import are_alike, in_words, of_bases, table_of


def rotation(*frequencies):
    n_pairs = len(frequencies)
    pairs = paired(2 * n_pairs, "half-split")
    return Rotation(pairs, np.array(frequencies), 2 * n_pairs, "half-split", 0.0)


def test_a_pair_of_another_base_turns_as_roformer_says():
    (waves,) = of_bases([100], 2).values()
    np.testing.assert_allclose(waves, [2 * np.pi, 2 * np.pi * 10])


def test_pairs_slower_than_the_context_never_come_around():
    said = in_words(rotation(1.0, 0.1, 0.001), 100)
    assert "1 of 3 pairs never come around within the context of 100 tokens" in said
    assert "never come around" not in in_words(rotation(1.0, 0.1), None)


def test_rotations_that_turn_alike_are_one():
    assert are_alike([rotation(1.0, 0.1), rotation(1.0, 0.1)])
    assert not are_alike([rotation(1.0, 0.1), rotation(1.0, 0.2)])
    assert not are_alike([rotation(1.0, 0.1), rotation(1.0)])


def test_the_file_has_a_line_per_pair_and_a_column_per_base():
    own = rotation(1.0, 0.5)
    frame = table_of(own, of_bases([1000], 2))
    assert frame["tokens_per_turn"].tolist() == [2 * np.pi, 4 * np.pi]
    assert frame.columns.tolist()[-1] == "base 1,000"
