"""Marks are what Plotly takes, and say what they were told to."""

import numpy as np
import plotly.graph_objects as go
import pytest

from viz import marks, theme

MARKS = [
    marks.line([0, None], [1, None], theme.QUERY, 2, "dot"),
    marks.dots([0], [1], theme.KEY, 9, "square", {"width": 1}, 0.5, name="a"),
    marks.marked_line([0, 1], [1, 2], theme.LOOKS[1]),
    marks.signs([0], [1], ["+"], theme.KEY, 20, 12),
    marks.bars(["a"], [1], theme.KEY, marks.hatched([True], 4), **marks.beside(["b"])),
    marks.rows_of_bars([1, 2], theme.KEY, **marks.said(["a", "b"]), **marks.always(1)),
    marks.diverging(np.eye(2), 1.5, colorbar=marks.bar_below("number")),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: mark.get("mode", mark["type"]))
def test_plotly_takes_every_mark(mark):
    [drawn] = go.Figure(mark).data
    assert drawn.type == mark["type"]


def test_hover_has_no_box_beside_it():
    assert marks.hover("a %{x}") == "a %{x}<extra></extra>"


def test_what_is_hatched_is_hatched_alone():
    assert marks.hatched([True, False, np.True_])["shape"] == ["/", "", "/"]


def test_colours_are_as_strong_on_both_sides_of_zero():
    strip = marks.diverging(np.array([[-1.0, 3.0]]), 2)
    assert (strip["zmin"], strip["zmax"]) == (-2, 2)


def test_largest_number_leaves_out_what_is_none_and_is_never_negative():
    assert marks.largest(np.array([np.nan, 2.0, np.inf])) == 2
    assert marks.largest(np.array([-3.0])) == 0
    assert marks.largest(np.array([])) == 0
