"""Figures of a whole generation, with numbers typed by hand."""

import numpy as np
import pytest

from viz import choices_replay, step_costs
from viz.decoding import OTHERS, Candidate

COSTS = {
    "tokens": ["·a", "·a", "<b>"],
    "rows_computed": [5, 1, 7],
    "seconds": [0.02, 0.004, 0.03],
    "cache_bytes": [2000, 2400, 0],
}


def row(token_id, token, probability):
    return Candidate(token_id, token, 1, 0.0, 0.0, 0.0, None, probability, probability)


STEPS = [
    [row(0, "a", 0.6), row(1, "<i>", 0.3), row(OTHERS, "all other 3 tokens", 0.1)],
    [row(2, "c", 0.5), row(1, "<i>", 0.25), row(0, "a", 0.25)],
]


def test_costs_are_drawn_as_they_were_measured():
    rows, time, cache = step_costs(**COSTS).data
    assert list(rows.y) == [5, 1, 7]
    np.testing.assert_allclose(time.y, [20, 4, 30])
    np.testing.assert_allclose(cache.y, [2, 2.4, 0])


def test_equal_tokens_are_different_steps():
    figure = step_costs(**COSTS)
    assert list(figure.data[0].x) == [1, 2, 3]
    assert figure.layout.xaxis3.ticktext == ("·a", "·a", "&lt;b&gt;")


def test_long_generation_is_labelled_by_number():
    many = {name: list(values) * 20 for name, values in COSTS.items()}
    assert step_costs(**many).layout.xaxis3.ticktext is None


def test_replay_has_a_frame_and_a_slider_step_per_step():
    figure = choices_replay(STEPS, [1, 2], ["once", "once<"], first_step=4)
    assert [frame.name for frame in figure.frames] == ["4", "5"]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["4", "5"]
    np.testing.assert_allclose(figure.frames[1].data[1].x, [0.5, 0.25, 0.25])


def test_replay_names_the_candidates_of_each_step_and_marks_the_chosen_one():
    figure = choices_replay(STEPS, [1, 2], ["once", "once<"])
    first, second = (frame.layout.yaxis.ticktext for frame in figure.frames)
    assert first == ("a", "▶ <b>&lt;i&gt;</b>", "<i>all other 3 tokens</i>")
    assert second == ("▶ <b>c</b>", "&lt;i&gt;", "a")
    assert "once&lt;" in figure.frames[1].layout.title.text


def test_one_slow_step_does_not_flatten_the_others_and_says_its_time():
    slow = step_costs(["a"] * 4, [1] * 4, [0.008, 0.009, 0.9, 0.01], [1] * 4)
    assert slow.layout.yaxis2.range == pytest.approx((0, 15))  # 1.5 times 10 ms
    assert "↑ 900" in [one.text for one in slow.layout.annotations]
    even = step_costs(["a"] * 3, [1] * 3, [0.008, 0.02, 0.01], [1] * 3)
    assert even.layout.yaxis2.range is None
