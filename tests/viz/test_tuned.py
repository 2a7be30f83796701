"""Each cell holds how far its weights moved, and nothing stands where there are none."""

import numpy as np
import pytest

from viz import change_heatmap


@pytest.mark.parametrize("n_layers", [1, 40])
def test_cells_hold_the_numbers_given(n_layers):
    changes = np.arange(2.0 * n_layers).reshape(2, n_layers) / 100
    changes[1, 0] = np.nan
    figure = change_heatmap(changes, ["q_proj", "k_proj"], [str(i) for i in range(n_layers)])
    [cells] = figure.data
    np.testing.assert_allclose(cells.z, changes, rtol=1e-6)
    assert list(cells.y) == ["q_proj", "k_proj"]
    assert cells.zmin == 0


def test_where_nothing_moved_nothing_is_dark():
    [cells] = change_heatmap(np.zeros((1, 2)), ["q_proj"], ["0", "1"]).data
    assert (cells.zmin, cells.zmax) == (0, 1)
