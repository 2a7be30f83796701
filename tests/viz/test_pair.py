"""Figures of two runs: the numbers given are the numbers drawn, and nothing looks like much."""

import numpy as np
import pytest

from viz import difference_heatmap, distance_bars, lines_by_place, place_labels


def table(values, **more):
    n_rows, n_columns = values.shape
    rows, columns = [f"r{i}" for i in range(n_rows)], [f"c{i}" for i in range(n_columns)]
    told = {"row_title": "layer", "column_title": "place", "measure": "probability"}
    return difference_heatmap(values, rows=rows, columns=columns, **told, **more)


def test_a_difference_is_drawn_on_a_scale_that_is_the_same_on_both_sides():
    values = np.array([[0.5, -0.25], [np.nan, 0.0]])
    drawn = table(values).data[0]
    assert (drawn.zmin, drawn.zmax) == (-0.5, 0.5)
    assert np.array_equal(drawn.z, values.astype(np.float32), equal_nan=True)
    assert [list(row) for row in drawn.text] == [["+50%", "-25%"], ["", ""]]


def test_to_swap_flips_every_sign():
    values = np.array([[0.5, -0.25]])
    assert (table(-values).data[0].z == -np.array(table(values).data[0].z)).all()


def test_where_nothing_differs_no_colour_says_otherwise():
    drawn = table(np.full((2, 2), 1e-9)).data[0]
    assert (drawn.zmin, drawn.zmax) == (-1, 1)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="fit"):
        difference_heatmap(
            np.zeros((2, 2)), rows=["a"], columns=["b"], row_title="", column_title="", measure=""
        )


def test_places_are_named_by_both_tokens_where_they_differ():
    assert place_labels(["the", "cat", None], ["the", "dog", "<b>"]) == [
        "0: the",
        "1: cat → dog",
        "2: - → &lt;b&gt;",
    ]


def test_lines_have_the_numbers_given():
    values = [np.array([1.0, np.nan]), np.array([0.0, 2.0])]
    figure = lines_by_place(["0: a", "1: b"], values, ["one", "two"], "bits", selected=1)
    for line, expected, name in zip(figure.data, values, ["one", "two"], strict=True):
        assert np.array_equal(line.y, expected, equal_nan=True)
        assert line.name == name
    assert figure.layout.yaxis.title.text == "bits"


def test_bars_of_no_distance_have_an_axis():
    figure = distance_bars(["layer 0, head 1"], np.array([0.0]), [1], "elsewhere")
    assert figure.layout.xaxis.range[1] > 0
    assert figure.data[0].customdata == (1,)
