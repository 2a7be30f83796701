"""A drawing is kept by what was drawn: drawn once for the same values, anew for any others."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from pages.widgets import drawing as module
from pages.widgets.drawing import drawing
from viz.attention import attention_heatmap
from viz.vectors import vector_strip

WEIGHTS = np.array([[1, 0], [0.25, 0.75]], np.float32)
N_DRAWN = []


def bars(heights, *, height=None):
    """A figure, counted."""
    N_DRAWN.append(heights)
    return go.Figure(go.Bar(y=heights), {"height": height})


@pytest.fixture(autouse=True)
def nothing_kept():
    module._KEPT.clear()
    N_DRAWN.clear()


def test_a_drawing_is_the_figure_as_it_is_written():
    tokens = ["a", "b"]
    drawn = drawing(attention_heatmap, WEIGHTS, tokens)
    figure = attention_heatmap(WEIGHTS, tokens)
    assert drawn.json == figure.written()
    assert drawn.height == figure.layout.height


def test_the_same_values_are_drawn_once_though_they_are_other_objects():
    first = drawing(bars, np.array([1.0, 2.0]), height=300)
    assert drawing(bars, np.array([1.0, 2.0]), height=300) is first
    assert len(N_DRAWN) == 1
    assert first.height == 300


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((np.array([1.0, 2.5]),), {}),
        ((np.array([1.0, 2.0], np.float32),), {}),
        (([1.0, 2.0],), {}),
        ((np.array([1.0, 2.0]),), {"height": 200}),
    ],
    ids=["a number", "a dtype", "a list", "an option"],
)
def test_any_other_value_is_another_drawing(given, named):
    first = drawing(bars, np.array([1.0, 2.0]))
    other = drawing(bars, *given, **named)
    assert other is not first
    assert len(N_DRAWN) == 2
    shown = json.loads(other.json)
    assert shown["layout"].get("height") == named.get("height")


def test_an_array_that_was_changed_in_place_is_another_drawing():
    heights = np.array([1.0, 2.0])
    before = drawing(bars, heights)
    heights[1] = 5
    assert drawing(bars, heights) != before


def test_what_is_looked_up_while_it_is_drawn_is_refused():
    """A name of a token depends on the model that is open: the same key would be two pictures."""
    with pytest.raises(TypeError, match="by values"):
        drawing(bars, [1.0], height=str)
    with pytest.raises(TypeError, match="by values"):
        drawing(bars, str)


def test_two_functions_with_the_same_values_are_two_drawings():
    numbers = np.zeros((2, 3), np.float32)
    one, other = drawing(bars, numbers[0]), drawing(vector_strip, numbers[0])
    assert one.json != other.json


def test_what_is_kept_stays_within_its_budget():
    n_drawings, heights = 12, np.zeros(module.KEPT_BYTES // 8 // 10)  # more than ten do not fit
    for i in range(n_drawings):
        drawing(bars, heights + i)
    assert 0 < module._KEPT.currsize <= module.KEPT_BYTES
    drawing(bars, heights + n_drawings - 1)
    assert len(N_DRAWN) == n_drawings  # the newest one is still there
    drawing(bars, heights)
    assert len(N_DRAWN) == n_drawings + 1


def test_a_drawing_larger_than_the_budget_is_shown_and_not_kept():
    assert drawing(bars, np.zeros(module.KEPT_BYTES // 8)).json
    assert not module._KEPT
