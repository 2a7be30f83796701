"""A cell per token and expert holds the weight that it was given, or nothing."""

import numpy as np
import pytest

from viz import expert_heatmap


@pytest.mark.parametrize("n_tokens", [1, 40])
def test_expert_that_did_not_run_has_an_empty_cell(n_tokens):
    weights = np.full((n_tokens, 3), np.nan)
    weights[:, 1] = 0.75
    figure = expert_heatmap(weights, ["the"] * n_tokens, start=5, selected=5)
    [cells] = figure.data
    assert cells.z.shape == (3, n_tokens)
    assert np.isnan(cells.z[0]).all()
    assert (cells.z[1] == 0.75).all()
    assert len(set(cells.x)) == n_tokens
    assert figure.layout.shapes[0].x0 == -0.5


def test_weights_that_are_no_numbers_still_draw():
    assert expert_heatmap(np.full((2, 2), np.nan), ["a", "b"]).data
