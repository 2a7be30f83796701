"""The arithmetic figures draw products, scores and sums that add up."""

import numpy as np
import pytest

from viz import dot_product, softmax_bars, theme, weighted_sum


def test_products_are_drawn_number_by_number():
    query, key, product = dot_product(np.array([1.0, -2.0]), np.array([3.0, 0.5])).data
    assert (query.z.tolist(), key.z.tolist()) == ([[1, -2]], [[3, 0.5]])
    assert product.z.tolist() == [[3, -1]]
    assert query.zmax == key.zmax == 3


def test_masked_keys_have_no_score_bar_and_the_chosen_key_stands_out():
    scores = np.array([0.0, 1.0, -np.inf])
    above, below = softmax_bars(scores, np.array([0.27, 0.73, 0.0]), ["a", "b", "c"], 1).data
    assert np.isnan(above.y[2])
    assert below.y.tolist() == [0.27, 0.73, 0]
    assert list(below.marker.color) == [theme.RESIDUAL, theme.KEY, theme.RESIDUAL]


@pytest.mark.parametrize("n_keys", [1, 3, 12])
def test_rows_of_a_weighted_sum_add_up_to_its_last_row(n_keys):
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(n_keys))
    values = random.normal(size=(n_keys, 4))
    figure = weighted_sum(weights, values, ["t"] * n_keys, key=int(np.argmin(weights)))
    rows = np.asarray(figure.data[0].z)
    np.testing.assert_allclose(rows[:-1].sum(0), rows[-1], atol=1e-6)
    np.testing.assert_allclose(rows[-1], weights @ values, atol=1e-6)
    assert len(rows) <= 8


def test_a_chosen_key_gets_its_own_row_though_nothing_is_read_from_it():
    weights = np.array([0.5, 0.0, 0.5])
    figure = weighted_sum(weights, np.ones((3, 2)), ["a", "<b>", "c"], key=1)
    assert "0 · v of 1: &lt;b&gt;" in figure.layout.yaxis.ticktext


def test_keys_without_a_row_are_counted():
    for n_others, text in ((1, "1 other key, "), (3, "3 other keys, ")):
        n_keys = 6 + n_others
        weights = np.full(n_keys, 1 / n_keys)
        figure = weighted_sum(weights, np.ones((n_keys, 2)), ["a"] * n_keys, key=0)
        assert figure.layout.yaxis.ticktext[-2].startswith(text)
