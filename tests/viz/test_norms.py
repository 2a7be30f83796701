"""What a norm does to a vector is drawn number by number."""

import numpy as np

from viz.norms import norm_comparison, norm_steps_strips


def test_strips_scale_each_row_by_itself_and_hover_the_real_numbers():
    small, large = np.array([0.1, -0.2]), np.array([100.0, -50.0])
    strip = norm_steps_strips([("small", small), ("large", large)]).data[0]
    np.testing.assert_allclose(strip.customdata, [small, large], rtol=1e-6)
    assert np.abs(strip.z).max() < 1.1
    assert np.abs(strip.z).max(axis=1).min() > 0.9


def test_a_row_of_zeros_is_drawn():
    strip = norm_steps_strips([("nothing", np.zeros(4))]).data[0]
    assert (np.array(strip.z) == 0).all()


def test_long_vectors_are_cut():
    strip = norm_steps_strips([("long", np.arange(500.0))], n_shown=48).data[0]
    assert strip.z.shape == (1, 48)


def test_dots_are_the_two_results_of_each_number():
    line, dots = norm_comparison(np.array([0.0, 1.0]), np.array([0.5, 2.0])).data
    np.testing.assert_array_equal(dots.x, [0.5, 2.0])
    np.testing.assert_array_equal(dots.y, [0.0, 1.0])
    assert list(line.x) == list(line.y) == [0.0, 2.0]
