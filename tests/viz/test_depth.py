"""Sizes and gradients of each model are drawn where they were measured."""

import numpy as np

from viz.depth import Depth, stream_and_gradients

SIZES, GRADIENTS = np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.2, 0.1])


def test_each_model_has_a_line_in_both_panels_of_one_look():
    figure = stream_and_gradients([Depth("a", SIZES, GRADIENTS), Depth("b", SIZES, GRADIENTS)])
    assert [trace.yaxis for trace in figure.data] == ["y", "y2", "y", "y2"]
    first, second = figure.data[0], figure.data[1]
    np.testing.assert_array_equal(first.y, SIZES)
    np.testing.assert_array_equal(second.y, GRADIENTS)
    assert first.line.dash == second.line.dash != figure.data[2].line.dash


def test_points_are_named_by_what_they_enter():
    trace = stream_and_gradients([Depth("a", SIZES, None)]).data[0]
    assert list(trace.customdata) == [
        "entering block 0",
        "entering block 1",
        "after the last block",
    ]


def test_unknown_gradients_are_left_out():
    assert len(stream_and_gradients([Depth("a", SIZES, None)]).data) == 1
