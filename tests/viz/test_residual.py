import numpy as np

from viz import added_sizes

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
