"""Counts of draws go to the tokens that were drawn, and none is lost."""

import numpy as np
import pytest

from model_hooks import Decoding
from pages.lm_head import draws
from pages.lm_head.draws import N_DRAWN, rows_of_draws


@pytest.fixture(autouse=True)
def names_are_numbers(monkeypatch):
    monkeypatch.setattr(draws, "token_name", str)


def test_the_most_probable_come_first_and_the_others_share_one_row():
    weights = np.arange(1, 31, dtype=np.float32)
    stage = Decoding().stages(np.log(weights / weights.sum()), [0])[-1]
    counts = np.arange(100, 130)
    drawn = rows_of_draws(stage, counts)
    first = np.arange(29, 29 - N_DRAWN, -1)
    assert drawn.names == [*map(str, first), "16 others"]
    np.testing.assert_array_equal(drawn.counts, [*counts[first], counts[:16].sum()])
    expected = weights / weights.sum()
    np.testing.assert_allclose(drawn.probabilities, [*expected[first], expected[:16].sum()], 1e-5)


def test_what_a_filter_removed_has_no_row_and_is_no_other():
    scores = np.arange(20, dtype=np.float32)
    stage = Decoding("sample", top_k=16).stages(scores, [0])[-1]
    drawn = rows_of_draws(stage, np.full(20, 3))
    assert drawn.names[-1] == "2 others"
    stage = Decoding("sample", top_k=5).stages(scores, [0])[-1]
    assert rows_of_draws(stage, np.full(20, 3)).names == ["19", "18", "17", "16", "15"]
