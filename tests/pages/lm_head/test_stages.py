"""The formulas of one token's way hold its numbers, however large."""

import numpy as np
import pytest

from model_hooks import Decoding
from pages.lm_head.seen import settings_of
from pages.lm_head.stages import lines_of


def test_softmax_of_huge_scores_stays_a_number():
    scores = np.array([4000.0, 3999.0], np.float32)
    line = lines_of(Decoding().stages(scores, [0]), Decoding(), 0)[1]
    assert "0.731059" in line
    assert "inf" not in line
    assert "nan" not in line


def test_a_token_that_a_filter_removed_goes_no_further():
    decoding = Decoding("sample", temperature=2.0, top_k=1, min_p=0.5)
    stages = decoding.stages(np.array([2.0, 1.0, 0.0], np.float32), [0])
    lines = lines_of(stages, decoding, 2)
    assert [line.split("**")[1] for line in lines] == ["Logit", "Temperature", "Top-k", "Softmax"]
    assert lines[2].endswith("**removed**")
    assert "probability $0$" in lines[3]


@pytest.mark.parametrize(("token_id", "which"), [(0, "this one"), (1, "another one")])
def test_greedy_says_whether_it_takes_this_one(token_id, which):
    stages = Decoding().stages(np.array([2.0, 1.0], np.float32), [0])
    assert which in lines_of(stages, Decoding(), token_id)[-1]


def test_filters_that_are_on_are_named_with_their_values():
    assert settings_of(Decoding("sample", top_k=5, top_p=0.9)) == "top-k 5 and top-p 0.9"
    assert settings_of(Decoding(top_k=5)) == ""
