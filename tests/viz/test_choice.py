"""Figures of a whole distribution draw the numbers they are given, and cut where filters cut."""

import math

import numpy as np
import pytest

from viz import drawn_counts, entropy_by_temperature, expected_spread, ranked_distribution
from viz.choice import cut_off, marked_ranks

RAW = np.array([0.1, 0.6, 0.05, 0.25])
FILTERED = np.array([0.0, 0.7, 0.0, 0.3])


def name(token_id):
    return ["·a", "<b>", "·c", "·d"][token_id]


def test_every_token_stands_at_its_rank_with_its_probability():
    figure = ranked_distribution(RAW, FILTERED, name)
    kept, removed, after = figure.data
    assert list(kept.x) == [1, 2]
    np.testing.assert_allclose(kept.y, [0.6, 0.25])
    assert list(removed.x) == [3, 4]
    np.testing.assert_allclose(removed.y, [0.1, 0.05])
    np.testing.assert_allclose(after.y, [0.7, 0.3])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


def test_cut_off_stands_behind_the_last_token_kept():
    figure = ranked_distribution(RAW, FILTERED, name)
    assert figure.layout.shapes[0].x0 == 2.5
    assert "2 tokens left, 85.0%" in figure.layout.annotations[0].text


def test_without_filters_there_is_no_cut_off_and_one_row_of_marks():
    figure = ranked_distribution(RAW, RAW, name)
    assert [trace.name for trace in figure.data] == ["kept: the model's own"]
    assert not figure.layout.shapes


def test_followed_token_is_named_and_token_text_is_never_html():
    figure = ranked_distribution(RAW, RAW, name, chosen=1)
    assert figure.layout.annotations[0].text == "<b>&lt;b&gt;</b>"
    assert 10 ** figure.layout.annotations[0].x == pytest.approx(1)
    assert "&lt;b&gt;" in figure.data[0].hovertext[0]


@pytest.mark.parametrize(
    ("kept", "edge"),
    [([1, 1, 0, 0], 2), ([1, 1, 1, 1], None), ([1, 0, 1, 0], None), ([1, 0, 0, 0], 1)],
)
def test_only_a_cut_at_one_rank_is_a_cut_off(kept, edge):
    assert cut_off(np.array(kept, bool)) == edge


@pytest.mark.parametrize("n_tokens", [1, 7, 4096, 150_000])
def test_few_marks_reach_from_the_first_to_the_last_rank(n_tokens):
    ranks = marked_ranks(n_tokens)
    assert ranks[0] == 1
    assert ranks[-1] == n_tokens
    assert len(ranks) <= 300


def test_huge_vocabulary_keeps_the_followed_token():
    raw = np.full(100_000, 1e-5)
    figure = ranked_distribution(raw, raw, str, chosen=77_777)
    assert 77_778 in figure.data[0].x


def test_entropy_curve_marks_the_present_and_the_most_there_can_be():
    temperatures, free = np.array([0.5, 1.0]), np.array([0.2, 1.0])
    figure = entropy_by_temperature(
        temperatures, free, free / 2, temperature=1.0, entropy=0.5, n_tokens=8, filters="top-k 2"
    )
    alone, filtered, now = figure.data
    np.testing.assert_allclose(alone.y, free)
    np.testing.assert_allclose(filtered.y, free / 2)
    assert filtered.name == "and top-k 2"
    assert (now.x, now.y) == ((1.0,), (0.5,))
    assert figure.layout.shapes[0].y0 == 3
    assert {alone.line.dash, filtered.line.dash} == {"solid", "dash"}


def test_expected_range_holds_95_percent_of_a_binomial_distribution():
    n, p = 20, 0.3
    spread = expected_spread(np.array([p, 0.0, 1.0]), n)
    chances = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    low, high = int(spread.low[0]), int(spread.high[0])
    assert sum(chances[low : high + 1]) >= 0.95
    assert sum(chances[:low]) < 0.025
    assert sum(chances[high + 1 :]) <= 0.025
    assert spread.expected[0] == pytest.approx(6)
    assert list(spread.low[1:]) == list(spread.high[1:]) == [0, 20]


def test_draws_stand_beside_what_was_expected():
    counts = np.array([9, 1])
    spread = expected_spread(np.array([0.5, 0.5]), 10)
    bars, expected = drawn_counts(["·a", "·a"], counts, spread, 10).data
    np.testing.assert_array_equal(bars.x, counts)
    np.testing.assert_allclose(expected.x, [5, 5])
    np.testing.assert_array_equal(expected.x + expected.error_x.array, spread.high)
    np.testing.assert_array_equal(expected.x - expected.error_x.arrayminus, spread.low)
    assert bars.marker.pattern.shape == ("/", "/")
