"""Sizes and directions of the stream are drawn as they are."""

import numpy as np

from viz import added_sizes, stream_growth

ATTENTION, FEEDFORWARD, STREAM = np.array([1.0, 2.0]), np.array([3.0, 0.5]), np.array([4.0, 5.0])


def test_bars_are_what_each_part_adds_and_the_line_is_the_stream():
    attention, feedforward, stream = added_sizes(ATTENTION, FEEDFORWARD, STREAM).data
    assert (list(attention.y), list(feedforward.y)) == ([1, 2], [3, 0.5])
    assert stream.type == "scatter"
    assert list(stream.y) == [4, 5]
    assert list(attention.x) == [0, 1]


def test_parts_differ_by_more_than_colour():
    attention, feedforward, _ = added_sizes(ATTENTION, FEEDFORWARD, STREAM).data
    assert attention.marker.pattern.shape != feedforward.marker.pattern.shape


def test_the_selected_layer_is_shaded():
    [band] = added_sizes(ATTENTION, FEEDFORWARD, STREAM, selected=1).layout.shapes
    assert (band.x0, band.x1) == (0.5, 1.5)
    assert not added_sizes(ATTENTION, FEEDFORWARD, STREAM).layout.shapes


def test_growth_draws_lengths_above_and_cosines_beneath():
    nan = float("nan")
    norms, typical = np.array([1.0, 3.0, 9.0]), np.array([1.0, 2.0, 4.0])
    previous, last = np.array([nan, 0.5, -0.5]), np.array([0.25, 0.75, 1.0])
    figure = stream_growth(norms, typical, previous, last, selected=1)
    for line, values in zip(figure.data, (norms, typical, previous, last), strict=True):
        np.testing.assert_array_equal(line.y, values)
        assert list(line.x) == [-1, 0, 1]
    assert [line.yaxis for line in figure.data] == ["y", "y", "y2", "y2"]
    assert figure.layout.yaxis2.range[0] < -0.5
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (0.5, 1.5)
    assert len({line.line.dash for line in figure.data[:2]}) == 2


def test_layers_whose_parts_are_not_told_apart_have_one_bar():
    whole, stream = added_sizes(None, FEEDFORWARD, STREAM).data
    assert whole.name == "the layer adds"
    assert list(whole.y) == list(FEEDFORWARD)
    assert list(stream.y) == list(STREAM)
