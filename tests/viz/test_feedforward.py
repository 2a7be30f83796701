"""Figures of the feedforward draw the numbers they are given, and survive odd ones."""

import numpy as np

from viz import (
    activation_curves,
    feedforward_steps,
    gate_and_up,
    neuron_bars,
    promoted_bars,
    switched_off_bars,
)
from viz.feedforward import Points

VALUES = np.array([[0.1, 0.5], [np.nan, np.nan], [0.4, 0.9]])


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_marks_are_the_states_before_and_after_each_feedforward():
    marks = by_name(feedforward_steps(VALUES, "<b>", selected=2))
    before, after = marks["before the feedforward"], marks["after it"]
    np.testing.assert_array_equal(before.y, VALUES[:, 0])
    np.testing.assert_array_equal(after.y, VALUES[:, 1])
    assert before.marker.symbol != after.marker.symbol
    assert list(after.customdata) == [0, 1, 2]
    assert "&lt;b&gt;" in after.hovertemplate


def test_rank_one_is_at_the_top_of_the_steps():
    figure = feedforward_steps(np.array([[900, 40], [12, 1]]), "a", measure="rank")
    bottom, top = figure.layout.yaxis.range
    assert top < 0 < np.log10(900) < bottom


def test_score_may_be_negative():
    marks = by_name(feedforward_steps(np.array([[-3.0, 2.0]]), "a", measure="logit"))
    assert marks["before the feedforward"].text == ("-3",)


def test_bar_without_a_feedforward_is_left_out_and_the_line_is_the_probability_as_it_is():
    figure = switched_off_bars(np.array([0.2, np.nan, 0.7]), 0.6, "·a")
    bars, line = figure.data
    np.testing.assert_array_equal(bars.y, [0.2, np.nan, 0.7])
    assert bars.text[1] == ""
    assert set(line.y) == {0.6}


def test_selected_neuron_differs_by_more_than_colour():
    said = {"measure": "effect", "hovers": ["x", "y"]}
    figure = neuron_bars([7, 3], np.array([2.0, -1.0]), ["·a", "<i>"], selected=3, **said)
    [bars] = figure.data
    assert list(bars.customdata) == [7, 3]
    patterns = bars.marker.pattern.shape
    assert patterns[0] != patterns[1]
    ticks = figure.layout.yaxis.ticktext
    assert "▸ 3" in ticks[1]
    assert "&lt;i&gt;" in ticks[1]
    low, high = figure.layout.xaxis.range
    assert low < -1 < 2 < high


def test_equal_tokens_keep_a_bar_each():
    [bars] = promoted_bars(["·the", "the", "·the"], np.array([1.0, 0.5, -2.0]), "score").data
    np.testing.assert_array_equal(bars.y, [0, 1, 2])
    assert "suppressed" in bars.hovertext[2]
    assert bars.marker.pattern.shape[0] != bars.marker.pattern.shape[2]


def test_dots_lie_where_they_were_computed_and_one_is_marked():
    x = np.array([-1.0, 0.0, 2.0])
    points = Points(x, np.maximum(x, 0), ["neuron 0", "neuron 1", "neuron 2"], marked=2)
    drawn = by_name(activation_curves({"relu": (x, np.maximum(x, 0))}, points))
    np.testing.assert_array_equal(drawn["neurons of this token"].y, [0, 0, 2])
    assert list(drawn["neuron 2"].x) == [2.0]


def test_curves_differ_by_more_than_colour():
    x = np.array([0.0, 1.0])
    first, second = activation_curves({"a": (x, x), "b": (x, -x)}).data
    assert first.line.dash != second.line.dash


def test_dots_grow_with_the_product_and_show_its_sign():
    dots = gate_and_up(np.array([0.0, 2.0, 3.0]), np.array([5.0, 4.0, -1.0]), ["a", "b", "c"])
    marker = dots.data[0].marker
    assert marker.size[0] < marker.size[2] < marker.size[1]
    assert marker.symbol[1] != marker.symbol[2]
    assert "= -3" in dots.data[0].text[2]


def test_values_that_are_no_numbers_still_draw():
    nothing = np.full((2, 2), np.nan)
    assert feedforward_steps(nothing, "a").data
    assert switched_off_bars(nothing[0], float("nan"), "a").data
