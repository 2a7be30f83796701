"""Sentences and tables about a word's way, on ways written by hand."""

import numpy as np
import pytest

from model_hooks.read.feedforward import FeedforwardLens
from pages.feedforward.steps import answer, best_layer, table_of, values_of


@pytest.fixture
def lens():
    """Four layers, the third without a feedforward; the second one helps most."""
    nan = [np.nan, np.nan]
    return FeedforwardLens(
        layers=(0, 1, 3),
        logits=np.array([[1.0, 2.0], [2.0, 5.0], nan, [5.0, 4.0]]),
        probabilities=np.array([[0.1, 0.12], [0.12, 0.5], nan, [0.5, 0.4]]),
        ranks=np.array([[4, 3], [3, 1], [0, 0], [1, 2]]),
    )


def test_the_layer_that_raises_the_probability_most_is_named(lens):
    assert best_layer(lens) == 1
    assert answer(lens, "cat", 1, (5, 7)) == (
        "The feedforward of **layer 1** does most for **cat**: from 12.0% (rank 3) to 50.0% "
        "(rank 1)."
    )


def test_the_selected_layer_is_compared_with_it(lens):
    assert answer(lens, "cat", 3, (5, 7)).endswith(
        "That of layer 3: from 50.0% (rank 1) to 40.0% (rank 2)."
    )
    assert answer(lens, "cat", 2, (5, 7)).endswith("Layer 2 has no feedforward.")


def test_what_gains_little_or_nothing_is_said():
    small = FeedforwardLens(
        (0,), np.zeros((1, 2)), np.array([[0.1, 0.105]]), np.array([[2, 2]], np.int64)
    )
    assert answer(small, "cat", 0, (5, 7)).endswith(", which is little.")
    falling = FeedforwardLens(
        (0,), np.zeros((1, 2)), np.array([[0.2, 0.1]]), np.array([[2, 2]], np.int64)
    )
    assert best_layer(falling) is None
    assert answer(falling, "<b>", 0, (5, 7)) == (
        r"No feedforward of this model makes **\<b\>** more probable here."
    )


def test_ranks_are_missing_where_there_is_no_feedforward(lens):
    ranks = values_of(lens, "rank")
    assert np.isnan(ranks[2]).all()
    np.testing.assert_array_equal(ranks[[0, 1, 3]], lens.ranks[[0, 1, 3]])
    assert values_of(lens, "logit") is lens.logits
    assert values_of(lens, "probability") is lens.probabilities


def test_the_file_has_a_line_per_feedforward(lens):
    frame = table_of(lens)
    assert frame.layer.tolist() == [0, 1, 3]
    assert frame.probability_before.tolist() == [0.1, 0.12, 0.5]
    assert frame.logit_after.tolist() == [2.0, 5.0, 4.0]
    assert frame.rank_after.tolist() == [3, 1, 2]
