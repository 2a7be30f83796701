"""What the picture is told adds up: no candidate and no weight is lost on the way to it."""

import numpy as np

from model_hooks import Decoding
from pages.forward_pass.flow import candidate_rows, rows_of_weights
from viz import candidates


def test_the_others_are_as_many_as_have_no_row_and_come_last():
    scores = np.log(np.arange(1, 101) / 5050).astype(np.float32)
    found = candidates(Decoding().stages(scores, [0]), str, n_candidates=5, chosen=3)
    rows = candidate_rows(found, 100, 4)
    assert [row["token"] for row in rows] == ["99", "98", "97", "96", "95", "3", "94 others"]
    assert [row["id"] for row in rows] == [99, 98, 97, 96, 95, 3, None]
    np.testing.assert_allclose([row["p"] for row in rows[:2]], [100 / 5050, 99 / 5050], rtol=1e-3)
    assert abs(sum(row["p"] for row in rows) - 1) < 1e-3


def test_where_all_have_a_row_there_are_no_others():
    rows = candidate_rows(candidates(Decoding().stages(np.zeros(3, np.float32), [0]), str), 3, 4)
    assert [row["token"] for row in rows] == ["0", "1", "2"]


def test_hidden_lanes_stand_between_the_drawn_ones_with_the_sum_of_their_weights():
    reads = np.array([1, 2, 4, 8, 16, 32], np.float32) / 64
    assert rows_of_weights(reads, [0, 3, 4]) == [0.016, round(6 / 64, 3), 0.125, 0.25]
    assert rows_of_weights(reads, [2, 5]) == [round(3 / 64, 3), 0.062, round(24 / 64, 3), 0.5]
    assert rows_of_weights(reads, range(6)) == [round(n / 64, 3) for n in (1, 2, 4, 8, 16, 32)]
