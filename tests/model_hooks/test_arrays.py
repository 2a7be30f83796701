"""Probabilities of logits against sums by hand, and arrays that nobody can change."""

import numpy as np
import pytest

from model_hooks.arrays import log_softmax, softmax


def test_probabilities_are_exponentials_over_their_sum():
    logits = np.array([[0.0, 1.0, -2.0], [5.0, 5.0, 5.0]], np.float32)
    powers = np.exp(logits.astype(np.float64))
    expected = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-12)
    np.testing.assert_allclose(log_softmax(logits), np.log(expected), rtol=1e-12)


def test_large_logits_neither_overflow_nor_vanish():
    found = log_softmax(np.array([1000.0, 0.0]))
    np.testing.assert_allclose(found, [0.0, -1000.0])


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_what_is_shared_cannot_be_written(function):
    with pytest.raises(ValueError, match="read-only"):
        function(np.zeros(3))[0] = 1
