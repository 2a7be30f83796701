"""Two distributions side by side: the same tokens, in one order."""

import numpy as np

from viz import before_after_bars, most_changed
from viz.comparison import probability_by_token


def test_a_token_that_is_probable_in_either_distribution_is_shown():
    before = np.array([0.7, 0.2, 0.05, 0.05])
    after = np.array([0.1, 0.2, 0.6, 0.1])
    assert most_changed(before, after, 3).tolist() == [0, 2, 1]


def test_bars_hold_both_probabilities_of_each_token():
    one, other = before_after_bars(["a", "a"], np.array([0.5, 0.2]), np.array([0.1, 0.9]), "x").data
    assert (list(one.x), list(other.x)) == ([0.5, 0.2], [0.1, 0.9])
    assert list(one.y) == [0, 1]


def test_probabilities_of_two_models_keep_repeated_tokens_apart():
    one, other = probability_by_token(
        ["a", "<b>", "a"], np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6]), ("x", "y"), 1
    ).data
    assert list(one.x) == ["1: a", "2: &lt;b&gt;", "3: a"]
    assert (list(one.y), list(other.y)) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert (one.name, other.name) == ("x", "y")
    assert one.marker.symbol != other.marker.symbol
