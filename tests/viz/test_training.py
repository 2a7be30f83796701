"""Curves and seeds of training runs are drawn as they were recorded."""

import numpy as np

from viz.training import Curve, final_losses, loss_curves

STEPS, LOSSES = np.array([10, 20, 30]), np.array([7.0, 5.0, 4.0])


def test_curves_show_every_step_from_the_first_wanted_one():
    line = loss_curves([Curve("a", STEPS, LOSSES)], from_step=15).data[0]
    np.testing.assert_array_equal(line.x, [20, 30])
    np.testing.assert_array_equal(line.y, [5.0, 4.0])


def test_curves_differ_in_more_than_colour():
    lines = loss_curves([Curve(str(i), STEPS, LOSSES) for i in range(5)]).data
    assert len({line.line.dash for line in lines}) == 5


def test_seeds_are_dots_on_a_line_from_best_to_worst():
    figure = final_losses(["a", "b"], [np.array([1.2, 1.0, 1.1]), np.array([])], measure="loss")
    line, dots = figure.data
    assert list(line.x) == [1.0, 1.2]
    np.testing.assert_array_equal(dots.x, [1.2, 1.0, 1.1])
    assert set(dots.y) == {0}
    assert figure.layout.yaxis.ticktext == ("a", "b")
