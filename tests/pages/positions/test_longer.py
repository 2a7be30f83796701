"""Losses are averaged over neighbours, and the trained length divides them."""

import numpy as np

from pages.positions.long_lines import Line
from pages.positions.longer import N_BUCKETS, loss_line, table_of, verdict

LINE = Line("tiny_1", None, 128, 64, "story", "", ())


def test_each_point_is_the_mean_over_the_positions_it_stands_for():
    losses = np.arange(1.0, 129)  # the loss of predicting position i is i
    line = loss_line("tiny", losses, 3)
    assert len(line.positions) == N_BUCKETS
    np.testing.assert_allclose(line.losses, line.positions)
    assert sum(line.n_tokens) == 3 * 128


def test_a_text_shorter_than_the_points_has_one_for_each_token():
    assert loss_line("tiny", np.array([3.0, 5.0]), 1).positions == [1.0, 2.0]


def test_loss_within_the_trained_length_is_set_against_loss_beyond():
    line = loss_line("tiny", np.where(np.arange(1, 129) <= 64, 2.0, 3.5), 1)
    assert verdict({LINE: line}) == (
        r"- **tiny\_1**: 2.00 bits per token within, 3.50 bits beyond the trained length (+1.5)"
    )


def test_a_text_within_the_trained_length_has_nothing_beyond():
    assert verdict({LINE: loss_line("tiny", np.ones(60), 1)}) == ""


def test_the_file_has_a_line_per_point():
    frame = table_of([loss_line("a", np.ones(2), 1), loss_line("b", np.zeros(3), 2)])
    assert frame["run"].tolist() == ["a"] * 2 + ["b"] * 3
    assert frame["n_predictions"].tolist() == [1, 1, 2, 2, 2]
