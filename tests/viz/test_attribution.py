"""What each part adds to a logit is drawn as it is, and adds up."""

import numpy as np

from viz import layer_effect, logit_parts


def test_bars_of_a_layer_keep_the_order_of_its_states():
    values = np.array([[0.5, 0.1], [0.4, 0.2], [0.1, 0.8]])
    states, parts = ["before", "then", "after"], ["embedding", "attention", "feedforward"]
    figure = layer_effect(values, states, parts, ["·a", "·b"])
    assert [bar.name for bar in figure.data] == states
    np.testing.assert_array_equal([bar.x for bar in figure.data], values)


def test_running_sum_of_the_parts_ends_at_the_logit():
    attention, feedforward = np.array([1.0, -0.5]), np.array([0.25, 2.0])
    figure = logit_parts(0.5, attention, feedforward, 0.75, logit=4.0, token="logit of ·a")
    bars = {bar.name: bar for bar in figure.data}
    np.testing.assert_array_equal(bars["attention"].y, attention)
    np.testing.assert_array_equal(bars["feedforward"].y, feedforward)
    np.testing.assert_allclose(bars["sum so far"].y, [0.5, 1.75, 3.25, 4.0])
    assert list(figure.layout.xaxis.ticktext) == ["embed", "0", "1", "bias"]


def test_model_without_biases_has_no_bar_for_them():
    figure = logit_parts(0.5, np.ones(1), np.ones(1), 0.0, logit=2.5, token="a")
    assert list(figure.layout.xaxis.ticktext) == ["embed", "0"]
    assert list(figure.data[-1].y) == [0.5, 2.5]
