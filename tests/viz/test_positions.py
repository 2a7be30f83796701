"""The position figures draw the numbers they are given."""

import numpy as np
import pytest

from viz.positions import (
    MAX_SIDE,
    LossLine,
    bias_by_distance,
    loss_by_position,
    position_similarity,
    position_vectors,
    shift_change,
)


def test_picture_shows_every_vector():
    vectors = np.array([[1.0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(position_vectors(vectors).data[0].z, vectors)


def test_large_tables_are_thinned_and_keep_their_positions():
    picture = position_vectors(np.arange(2.0 * MAX_SIDE * 3).reshape(2 * MAX_SIDE, 3)).data[0]
    assert len(picture.z) == MAX_SIDE
    assert list(picture.y[:3]) == [0, 2, 4]
    assert list(picture.z[1]) == [6, 7, 8]


def test_similarity_is_the_cosine():
    vectors = np.array([[2.0, 0], [0, 3], [-1, 0], [0, 0]])
    np.testing.assert_allclose(
        position_similarity(vectors).data[0].z,
        [[1, 0, -1, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0, 0, 0, 0]],
        atol=1e-7,
    )


def test_bias_has_a_line_per_head_and_one_stands_out():
    lines = bias_by_distance(np.array([[0.0, -1.0], [0.0, -0.5]]), 1).data
    assert [list(line.y) for line in lines] == [[0, -1], [0, -0.5]]
    assert [line.line.width for line in lines] == [1, 3]


def test_models_of_a_moved_text_differ_by_more_than_colour():
    figure = shift_change([0, 8], {"a": np.array([0.0, 0.0]), "b": np.array([0.0, 0.4])}, 8)
    assert [list(line.y) for line in figure.data] == [[0, 0], [0, 0.4]]
    assert len({line.line.dash for line in figure.data}) == 2
    assert len({line.marker.symbol for line in figure.data}) == 2


def test_losses_and_trained_lengths_are_drawn():
    line = LossLine("tiny", [8.5, 24.5], np.array([3.0, 4.0]), [16, 16])
    figure = loss_by_position([line], [16])
    assert list(figure.data[0].y) == [3, 4]
    assert figure.layout.shapes[0].x0 == 16
    assert figure.layout.annotations[0].text == "trained length 16"
    assert figure.layout.yaxis.rangemode == "tozero"


@pytest.mark.parametrize("n_positions", [1, 2])
def test_tiny_tables_draw(n_positions):
    assert position_similarity(np.ones((n_positions, 4))).data[0].z.shape == (n_positions,) * 2
