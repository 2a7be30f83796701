"""The candidates of one choice, by a vocabulary of five tokens whose numbers are typed by hand."""

from typing import NamedTuple

import numpy as np
import pytest

from viz.decoding import OTHERS, candidates, candidates_bars

RAW = np.array([2.0, 1.0, 0.0, -1.0, 1.0], dtype=np.float32)
INF = np.inf
TOKENS = ("·a", "<b>", "$c$", "↵", "·a")


class HandStage(NamedTuple):
    name: str
    scores: np.ndarray

    @property
    def probabilities(self):
        weights = np.exp(self.scores.astype(float))
        return weights / weights.sum()


STAGES = (
    HandStage("raw", RAW),
    HandStage("temperature", RAW / 0.5),
    HandStage("top_k", np.array([4.0, 2.0, -INF, -INF, 2.0])),
    HandStage("top_p", np.array([4.0, -INF, -INF, -INF, -INF])),
)


def rows(stages=STAGES, **options):
    return candidates(stages, TOKENS.__getitem__, **options)


def test_probabilities_of_all_rows_sum_to_one_before_and_after_decoding():
    for n_candidates in (1, 2, 5, 99):
        shown = rows(n_candidates=n_candidates)
        assert sum(row.raw_probability for row in shown) == pytest.approx(1)
        assert sum(row.probability for row in shown) == pytest.approx(1)


def test_candidates_come_by_falling_logit_and_equals_by_id():
    assert [row.token_id for row in rows(n_candidates=5)] == [0, 1, 4, 2, 3]


def test_each_row_names_the_first_filter_that_removed_it():
    removed = {row.token_id: row.removed_by for row in rows(n_candidates=5)}
    assert removed == {0: None, 1: "top_p", 4: "top_p", 2: "top_k", 3: "top_k"}


def test_rank_counts_larger_logits_so_that_equals_share_it():
    assert [row.rank for row in rows(n_candidates=5)] == [1, 2, 2, 4, 5]


def test_scores_are_shown_before_and_after_the_temperature():
    first = rows(n_candidates=1)[0]
    assert (first.logit, first.penalised, first.tempered) == (2, 2, 4)


def test_penalty_is_shown_apart_from_the_temperature():
    penalised = HandStage("repetition_penalty", np.array([1.0, 1.0, 0.0, -2.0, 1.0]))
    divided = HandStage("temperature", penalised.scores * 2)
    first = rows((STAGES[0], penalised, divided), n_candidates=1)[0]
    assert (first.logit, first.penalised, first.tempered) == (2, 1, 2)


def test_token_that_decoding_promotes_gets_a_row():
    promoted = HandStage("repetition_penalty", np.array([0.0, 0.0, 0.0, 9.0, 0.0]))
    assert 3 in [row.token_id for row in rows((STAGES[0], promoted), n_candidates=1)]


def test_chosen_token_gets_a_row_however_improbable():
    shown = rows(n_candidates=1, chosen=3)
    assert [row.token_id for row in shown] == [0, 3, OTHERS]
    assert shown[-1].token == "all other 3 tokens"


def test_bars_are_as_long_as_the_probabilities():
    shown = rows(n_candidates=2)
    own, after = candidates_bars(shown).data[:2]
    np.testing.assert_allclose(own.x, [row.raw_probability for row in shown])
    np.testing.assert_allclose(after.x, [1, 0, 0])
    assert {own.orientation, after.orientation} == {"h"}


def test_a_label_at_the_end_of_a_bar_is_its_length():
    shown = rows(STAGES[:1], n_candidates=3)
    labels = candidates_bars(shown).data[3]
    assert [float(text.strip(" %")) / 100 for text in labels.text] == pytest.approx(
        list(labels.x), rel=0.005
    )


def test_where_a_row_has_two_bars_both_are_told_apart_from_either():
    figure = candidates_bars(rows(STAGES[:2], n_candidates=3))
    labels = figure.data[3]
    own, after = (list(bars.x) for bars in figure.data[:2])
    assert set(labels.x) == {figure.layout.xaxis.range[1]}
    for text, *lengths in zip(labels.text, own, after, strict=True):
        told = [float(one.strip(" %")) / 100 for one in text.split("→")]
        assert told == pytest.approx(lengths, rel=0.005)


def test_equal_tokens_keep_their_own_bars():
    figure = candidates_bars(rows(n_candidates=5))
    assert list(figure.data[0].y) == [0, 1, 2, 3, 4]
    assert [label.count("·a") for label in figure.layout.yaxis.ticktext] == [1, 0, 1, 0, 0]


def test_token_text_is_never_read_as_html():
    figure = candidates_bars(rows(n_candidates=5))
    assert "&lt;b&gt;" in figure.layout.yaxis.ticktext[1]
    assert "<b>&lt;b&gt;</b>" in figure.data[4].hovertext[1]


def test_removed_tokens_are_struck_out_and_say_by_which_filter():
    figure = candidates_bars(rows(n_candidates=5))
    struck = ["<s>" in label for label in figure.layout.yaxis.ticktext]
    assert struck == [False, True, True, True, True]
    assert figure.data[3].text[1] == " removed by top-p"


def test_chosen_token_is_marked_by_more_than_colour():
    figure = candidates_bars(rows(n_candidates=5), chosen=4)
    marked = [i for i, label in enumerate(figure.layout.yaxis.ticktext) if "▶ <b>" in label]
    assert marked == [2]
    picked = figure.data[2]
    assert (picked.name, list(picked.y), picked.marker.pattern.shape) == ("picked", [2], "/")


def test_click_targets_carry_token_ids():
    figure = candidates_bars(rows(n_candidates=2))
    assert list(figure.data[-1].customdata) == [0, 1, OTHERS]
