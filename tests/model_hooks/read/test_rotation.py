"""A Rotation turns pairs by hand-made angles, and is found again from what it turned."""

import numpy as np
import pytest

from model_hooks.read.rotation import Rotation, fit_rotation, paired

QUARTER = np.pi / 2


def rotation(pairs, frequencies, d_head, pairing="half-split"):
    return Rotation(np.array(pairs), np.array(frequencies, dtype=float), d_head, pairing, 0.0)


def test_quarter_turn_moves_the_first_number_to_the_second():
    found = rotation([[0, 2], [1, 3]], [QUARTER, 0.0], 4).turned(np.array([1.0, 5, 0, 7]), 1)
    np.testing.assert_allclose(found, [0, 5, 1, 7], atol=1e-12)


def test_two_pairings_of_six_dimensions():
    assert paired(6, "half-split").tolist() == [[0, 3], [1, 4], [2, 5]]
    assert paired(6, "interleaved").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert paired(4, "half-split", 8).tolist() == [[8, 10], [9, 11]]


def test_product_depends_on_the_distance_alone():
    turns = rotation([[0, 2], [1, 3]], [1.0, 0.1], 5)
    query, key = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, -1, 0, 1, 3])
    moved = np.arange(200)
    together = turns.products_at(query, key, 7 + moved, 3 + moved)
    alone = turns.products_at(query, key, 7 + moved, np.full(200, 3))
    assert np.ptp(together) < 1e-11
    assert np.ptp(alone) > 1


def test_terms_and_rest_sum_to_the_product():
    turns = rotation([[0, 1]], [0.5], 3, "interleaved")
    query, key = np.array([1.0, 2, 3]), np.array([4.0, 5, 6])
    assert turns.pair_products(query, key).tolist() == [14.0]
    assert turns.rest_product(query, key) == 18.0
    assert turns.untouched.tolist() == [2]


def test_wavelength_is_a_full_turn():
    turns = rotation([[0, 1], [2, 3]], [QUARTER, 0.0], 4, "interleaved")
    assert turns.wavelengths.tolist() == [4.0, np.inf]
    assert turns.n_rotated == 2


@pytest.mark.parametrize("pairing", ["half-split", "interleaved"])
@pytest.mark.parametrize(("d_rotated", "first"), [(16, 0), (6, 0), (6, 10)])
def test_rotation_is_found_again(pairing, d_rotated, first):
    frequencies = 10_000.0 ** (-2 * np.arange(d_rotated // 2) / d_rotated)
    truth = rotation(paired(d_rotated, pairing, first), frequencies, 16, pairing)
    start = np.random.default_rng(0).normal(size=(6, 16))
    steps = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    turned = truth.turned(start[None], np.array(steps)[:, None])
    found = fit_rotation(start, turned, steps, 1e-3)
    assert found.pairs.tolist() == truth.pairs.tolist()
    assert found.pairing == pairing
    np.testing.assert_allclose(found.frequencies, frequencies, rtol=1e-9)


def test_what_is_no_rotation_is_refused():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 16))
    assert fit_rotation(start, rng.normal(size=(3, 6, 16)), [1, 2, 4], 1e-3) is None
    assert fit_rotation(start, np.stack([start] * 3), [1, 2, 4], 1e-3) is None
