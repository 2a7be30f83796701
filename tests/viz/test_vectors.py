"""A strip shows every number of a vector, in colours that can be compared."""

import numpy as np
import pytest

from viz import color_limit, vector_strip


@pytest.mark.parametrize("length", [1, 16, 64, 65, 192, 4096])
def test_strip_shows_every_number_once_and_in_order(length):
    values = np.linspace(-1, 1, length) + 0.01
    [strip] = vector_strip(values).data
    shown = strip.z.ravel()
    np.testing.assert_allclose(shown[:length], values.astype(np.float32))
    assert np.isnan(shown[length:]).all()
    assert list(strip.customdata.ravel()[:length]) == list(range(length))


def test_colours_are_symmetric_about_zero():
    [strip] = vector_strip(np.array([-3.0, 1.0, 2.0])).data
    assert strip.zmin == -strip.zmax < 0


def test_one_huge_number_does_not_pale_the_others():
    values = np.ones(200)
    values[7] = 1000
    assert color_limit(values) == pytest.approx(1)
    [strip] = vector_strip(values).data
    assert strip.z[0, 7] == 1000


def test_a_vector_of_zeros_has_a_picture():
    [strip] = vector_strip(np.zeros(8)).data
    assert strip.zmax == 1


def test_strips_with_one_limit_can_be_compared():
    small, large = np.full(4, 0.1), np.full(4, 5.0)
    limit = color_limit(small, large)
    assert vector_strip(small, limit=limit).data[0].zmax == limit
    assert limit == 5
