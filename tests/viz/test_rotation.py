"""The rotation figures draw the numbers they are given."""

import numpy as np
import pytest

from viz.rotation import (
    TurnedPair,
    chosen_pairs,
    pair_terms,
    pair_use,
    rotation_slider,
    turn_length,
    wavelength_lines,
)

EAST, NORTH, WEST = (4.0, 0.0), (0.0, 4.0), (-4.0, 0.0)


def slider(start=0):
    pair = TurnedPair("0: 4.0", np.array([EAST, NORTH, WEST]), np.array([EAST] * 3) / 4)
    scores = np.array([1.0, 0.0, -1.0])
    return rotation_slider([pair], scores, [5, 6, 7], moved="position", start=start)


@pytest.mark.parametrize(("step", "tip"), [(0, (1, 0)), (1, (0, 1)), (2, (-1, 0))])
def test_each_step_turns_the_query_and_leaves_the_key(step, tip):
    figure = slider()
    query, key, _ = figure.frames[step].data
    assert (query.x[1], query.y[1]) == pytest.approx(tip)
    assert (key.x[1], key.y[1]) == pytest.approx((1, 0))


def test_slider_begins_at_its_start_and_says_what_changed():
    figure = slider(start=1)
    assert figure.layout.sliders[0].active == 1
    assert [step.label for step in figure.layout.sliders[0].steps] == ["5", "6", "7"]
    marker = figure.data[4]
    assert (marker.x[0], marker.y[0]) == (6, 0.0)
    assert figure.frames[2].data[2].text[1] == "<b>-1</b> (changed by -1)"
    assert figure.frames[1].data[2].text[1] == "<b>0</b> (changed by 0)"


def test_length_of_an_arrow_follows_the_square_root():
    pairs = [
        TurnedPair(str(i), np.array([[size, 0.0]]), np.array([[0.0, size]]))
        for i, size in enumerate((1.0, 0.25))
    ]
    query = rotation_slider(pairs, np.array([1.0]), [0], moved="position").data[2]
    assert query.x[1] - query.x[0] == pytest.approx(1.0)
    assert query.x[4] - query.x[3] == pytest.approx(0.5)


def test_vectors_of_zeros_draw():
    pair = TurnedPair("0", np.zeros((2, 2)), np.zeros((2, 2)))
    assert len(rotation_slider([pair], np.zeros(2), [0, 1], moved="both").frames) == 2


def test_terms_and_rest_are_bars():
    bars = pair_terms(np.array([0.5, -0.25]), np.array([6.3, np.inf]), 2.0).data[0]
    assert list(bars.y) == [0.5, -0.25, 2.0]
    assert bars.customdata[1] == "pair 1, one turn in ∞ tokens (it never turns)"
    assert len(pair_terms(np.array([0.5]), np.array([6.3])).data[0].y) == 1


def test_use_has_a_row_per_head_and_frames_one():
    figure = pair_use(np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([6.0, 600.0]), 1)
    np.testing.assert_allclose(figure.data[0].z, [[0.5, 0.5], [0.9, 0.1]], rtol=1e-6)
    assert (figure.layout.shapes[0].y0, figure.layout.shapes[0].y1) == (0.5, 1.5)


def test_wavelengths_leave_out_what_never_turns_and_mark_lengths():
    figure = wavelength_lines(
        np.array([6.0, np.inf]), {"base 100": np.array([6.0, 60.0])}, {"context": 512}
    )
    own, other, mark = figure.data
    assert (list(own.x), list(own.y)) == ([0], [6.0])
    assert list(other.y) == [6.0, 60.0]
    assert list(mark.y) == [512, 512]
    assert figure.layout.yaxis.range == (0, 3)


def test_turn_length_reads_well():
    assert turn_length(6.28) == "6.3 tokens"
    assert turn_length(29164.2) == "29,164 tokens"


def test_many_pairs_are_spread_from_fast_to_slow():
    assert chosen_pairs(5).tolist() == [0, 1, 2, 3, 4]
    chosen = chosen_pairs(64)
    assert (len(chosen), chosen[0], chosen[-1]) == (12, 0, 63)
