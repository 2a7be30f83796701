"""A vector's growth against lengths and angles taken one by one."""

import numpy as np
import pytest
import torch

from model_hooks import PromptError
from model_hooks.read.growth import cosine, growth


def test_lengths_are_those_of_the_recorded_states(trace):
    found = growth(trace, 3)
    states = [trace.embedding, *(layer.resid_post for layer in trace.layers)]
    lengths = np.array([[np.sqrt((vector**2).sum()) for vector in state] for state in states])
    np.testing.assert_allclose(found.norms, lengths[:, 3], rtol=1e-5)
    np.testing.assert_allclose(found.typical_norms, np.median(lengths, 1), rtol=1e-5)


def test_angles_are_between_this_tokens_own_states(trace):
    found = growth(trace, 1)
    states = [trace.embedding, *(layer.resid_post for layer in trace.layers)]
    mine = [torch.tensor(state[1]).double() for state in states]
    similar = torch.nn.functional.cosine_similarity
    assert np.isnan(found.with_previous[0])
    for i in range(1, len(mine)):
        expected = float(similar(mine[i - 1], mine[i], dim=0))
        assert found.with_previous[i] == pytest.approx(expected, abs=1e-6)
    for i, state in enumerate(mine):
        assert found.with_last[i] == pytest.approx(float(similar(state, mine[-1], dim=0)), abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"), [([1, 0], [2, 0], 1), ([1, 0], [0, 3], 0), ([1, 1], [-2, -2], -1)]
)
def test_cosine_of_known_angles(a, b, expected):
    assert cosine(np.array(a, float), np.array(b, float)) == pytest.approx(expected)


def test_a_vector_of_zeros_has_no_direction():
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))


def test_a_position_that_is_not_there_is_one_sentence(trace):
    with pytest.raises(PromptError, match="position 99"):
        growth(trace, 99)
