"""What one query reads is its row of the attention weights, in texts of any length."""

import numpy as np
import pytest

from model_hooks import LayerError
from model_hooks.read import heads


@pytest.mark.parametrize("long_from", [512, 1])
def test_weights_of_a_query_are_its_row_up_to_itself(trace, monkeypatch, long_from):
    monkeypatch.setattr(heads, "PER_HEAD_FROM", long_from)
    for pos in (0, 3, len(trace) - 1):
        row = heads.weights_of_query(trace, 1, pos)
        np.testing.assert_array_equal(row, trace.attention(1)[:, pos, : pos + 1])
        np.testing.assert_allclose(row.sum(-1), 1, atol=1e-5)


def test_a_layer_that_is_not_there_is_refused(trace):
    with pytest.raises(LayerError):
        heads.weights_of_query(trace, 99, 0)
