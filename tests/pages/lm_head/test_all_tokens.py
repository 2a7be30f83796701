"""What filters leave is told by the model's own probabilities, and every token is in the file."""

import numpy as np
import pytest

from model_hooks import Decoding
from model_hooks.host import Run
from pages.lm_head import all_tokens
from pages.lm_head.all_tokens import cut_note, table_of
from pages.lm_head.seen import Seen

PROBABILITIES = np.array([0.1, 0.4, 0.2, 0.3], np.float32)


def seen_with(decoding):
    stages = decoding.stages(np.log(PROBABILITIES), [0])
    return Seen(Run("tiny", (0,)), ("a",), 0, decoding, stages, 1)


def test_what_is_left_had_the_sum_of_its_own_probabilities():
    note = cut_note(seen_with(Decoding("sample", temperature=0.5, top_k=2)))
    assert "With top-k 2, 2 of 4 tokens are left. They had 70.0% of" in note


@pytest.mark.parametrize(
    ("decoding", "says"),
    [(Decoding(top_k=2), "Greedy decoding cuts nothing off"), (Decoding("sample"), "No filter")],
)
def test_where_nothing_is_cut_off_that_is_said(decoding, says):
    assert cut_note(seen_with(decoding)).startswith(says)


def test_the_file_has_every_token_by_rank_with_its_numbers_of_each_stage(monkeypatch):
    monkeypatch.setattr(all_tokens, "_each_token", lambda name, ids: tuple(f"t{i}" for i in ids))
    table = table_of(seen_with(Decoding("sample", top_k=2)))
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table.token_id.tolist() == [1, 3, 2, 0]
    assert table.token.tolist() == ["t1", "t3", "t2", "t0"]
    np.testing.assert_allclose(table.score_raw, np.log([0.4, 0.3, 0.2, 0.1]), rtol=1e-6)
    np.testing.assert_allclose(table.probability_raw, [0.4, 0.3, 0.2, 0.1], rtol=1e-6)
    np.testing.assert_allclose(table.probability_top_k, [4 / 7, 3 / 7, 0, 0], rtol=1e-6)
    assert np.isneginf(table.score_top_k[2:]).all()
