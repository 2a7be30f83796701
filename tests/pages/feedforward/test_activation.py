"""Which neurons are drawn on the curve, and how many are said to be off."""

import numpy as np
import pytest

from pages.feedforward.activation import MAX_DOTS, Values, share_off, shown_neurons


def values(pre, activated):
    return Values(np.array(pre, float), np.array(activated, float), None, np.array(activated))


def test_neurons_that_give_exactly_zero_are_off():
    relu = values([-1, -2, 3, 4], [0, 0, 3, 4])
    assert share_off(relu, "relu").startswith("**2 of 4 neurons (50.0%) are off** at this token")


def test_neurons_that_give_little_are_nearly_off():
    gelu = values([-1, -2, -3, 4], [-0.1, -0.04, -0.01, 4])
    assert share_off(gelu, "gelu").startswith("**3 of 4 neurons (75.0%) are off or nearly off**")


def test_of_many_neurons_the_extremes_the_loudest_and_the_chosen_one_are_drawn():
    pre = np.random.default_rng(0).permutation(3000) - 1500.0
    activation = np.zeros(3000)
    activation[[17, 1234]] = [5, -9]
    shown = shown_neurons(Values(pre, np.maximum(pre, 0), None, activation), 2999)
    assert len(shown) <= MAX_DOTS
    assert shown == sorted(set(shown))
    assert {17, 1234, 2999, int(pre.argmin()), int(pre.argmax())} <= set(shown)


@pytest.mark.parametrize("n_neurons", [1, 32, MAX_DOTS])
def test_few_neurons_are_all_drawn(n_neurons):
    few = values(range(n_neurons), range(n_neurons))
    assert shown_neurons(few, 0) == list(range(n_neurons))
