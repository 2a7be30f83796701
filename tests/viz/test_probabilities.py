"""Bars of the next token are the model's own probabilities, which sum to one."""

from dataclasses import dataclass

import numpy as np
import pytest

from viz import candidates, next_token_bars
from viz.decoding import OTHERS


@dataclass
class Raw:
    scores: np.ndarray
    name: str = "raw"

    @property
    def probabilities(self):
        exponentials = np.exp(self.scores)
        return exponentials / exponentials.sum()


WORDS = ["a", "<b>", "·c", "c", "e"]
RAW = Raw(np.log(np.array([0.1, 0.4, 0.2, 0.05, 0.25])))


def test_bars_of_candidates_and_all_others_sum_to_one():
    rows = candidates([RAW], WORDS.__getitem__, n_candidates=2)
    [bars] = next_token_bars(rows).data
    np.testing.assert_allclose(bars.x, [0.4, 0.25, 0.35])
    assert sum(bars.x) == pytest.approx(1)
    assert rows[-1].token_id == OTHERS


def test_the_best_token_is_on_top_and_markup_is_escaped():
    figure = next_token_bars(candidates([RAW], WORDS.__getitem__, n_candidates=5))
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;"
    low, high = figure.layout.yaxis.range
    assert low > high


def test_a_vocabulary_without_others_has_no_bar_for_them():
    figure = next_token_bars(candidates([RAW], WORDS.__getitem__, n_candidates=5))
    assert len(figure.data[0].x) == 5
    assert not any(figure.data[0].marker.pattern.shape)
