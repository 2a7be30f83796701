"""What is said of many texts and of a beam search follows their numbers."""

import pytest

from model_hooks.experiments.beams import BeamSearch
from model_hooks.experiments.continuations import Text
from pages.lm_head.beams import verdict
from pages.lm_head.texts import repetition, spread_sentence


@pytest.mark.parametrize(
    ("best", "greedy", "says"),
    [
        (-3.0, -4.0, "Beam search wins**: its text is **2.72 times"),
        (-4.0, -3.0, "Greedy's sum is smaller**: its text is 2.72 times"),
    ],
)
def test_verdict_follows_the_sums(best, greedy, says):
    found = BeamSearch((1,), 2, 0.0, (), (Text((1, 2), (best, 0.0)),), (best,))
    assert says in verdict(found, Text((3, 4), (greedy, 0.0)))


def test_the_same_text_wins_nothing():
    text = Text((1, 2), (-1.0, -2.0))
    found = BeamSearch((1,), 2, 0.0, (), (text,), (-3.0,))
    assert "end on the same text**, with a sum of **4.33 bits**" in verdict(found, text)


@pytest.mark.parametrize(
    ("ids", "share"), [((1, 2, 1, 2, 1), 0.5), ((1, 2, 3), 0.0), ((1,), 0.0), ((), 0.0)]
)
def test_repetition_is_the_share_of_pairs_that_came_before(ids, share):
    assert repetition(ids) == share


def test_spread_counts_different_texts_and_first_tokens():
    sampled = [Text((1, 2), (0.0, 0.0)), Text((1, 3), (0.0, 0.0)), Text((1, 2), (0.0, 0.0))]
    told = spread_sentence(None, sampled)
    assert "**2 different texts of 3**" in told
    assert "start with 1 different token;" in told
    assert "greedy's repeats itself" not in told
    assert "greedy's repeats itself in 50.0%" in spread_sentence(
        Text((1, 1, 1), (0.0,) * 3), sampled
    )
