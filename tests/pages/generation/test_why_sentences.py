"""What hiding each word showed is said as it was measured, whichever case it is."""

import pytest

from pages.generation.why_sentences import (
    Own,
    Read,
    Without,
    both_sentence,
    hidden_sentence,
    read_sentence,
)


def without(name, place, before, after, leads=None):
    return Without(name, place, before, after, leads)


FRANCE = [without("France", 4, 1.0, 0.01, "Warsaw"), without("capital", 2, 1.0, 0.72)]
CAT = [without("cat", 3, 0.97, 0.06, "joey"), without("baby", 2, 0.97, 0.943)]
HOT = [without("hot", 4, 0.68, 0.005, "the"), without("opposite", 2, 0.68, 0.006, "a")]
EVER = [without("lived", 2, 0.999, 0.991), without("happily", 3, 0.999, 0.97)]


@pytest.mark.parametrize(
    ("tried", "n_words", "says"),
    [
        (
            FRANCE,
            2,
            "Without France, the answer X falls from 100% to 1.00%, and Warsaw leads. "
            "capital comes next: 72.0% without it.",
        ),
        (
            CAT,
            2,
            "Without cat, the answer X falls from 97.0% to 6.00%, and joey leads. "
            "Hiding any other word changes it by at most 3 points.",
        ),
        (
            HOT,
            2,
            "Without hot, the answer X falls from 68.0% to 0.500%, and the leads. "
            "opposite matters almost as much: 0.600% without it.",
        ),
        (
            EVER,
            2,
            "No single word decides: hiding any of them leaves X where it is, at 99.9%, "
            "changed by at most 3 points.",
        ),
        (
            CAT,
            9,
            "Without cat, the answer X falls from 97.0% to 6.00%, and joey leads. "
            "Hiding any other of the two changes it by at most 3 points.",
        ),
        (
            EVER,
            9,
            "No single word decides: hiding any of the two that it read most from leaves X where "
            "it is, at 99.9%, changed by at most 3 points.",
        ),
        ([], 0, "Nothing comes before the token that asks, so X needs no earlier word."),
    ],
)
def test_each_case_has_its_sentence(tried, n_words, says):
    assert hidden_sentence(tried, "X", n_words) == says
    assert hidden_sentence(tried[::-1], "X", n_words) == says


def test_an_answer_that_still_leads_is_said_to():
    said = hidden_sentence([without("A", 1, 0.9, 0.5)], "X", 1)
    assert said == "Without A, the answer X falls from 90.0% to 50.0%, and still leads."


def test_a_small_probability_falls_when_half_of_it_goes():
    assert hidden_sentence([without("A", 1, 0.08, 0.03)], "X", 1).startswith("Without A")
    assert hidden_sentence([without("A", 1, 0.08, 0.05)], "X", 1).startswith("No single word")


def test_a_word_in_the_answers_way_is_told():
    fall, rise = without("A", 1, 0.5, 0.1, "Y"), without("B", 2, 0.5, 0.9)
    said = hidden_sentence([fall, rise], "X", 2)
    assert said.endswith("and Y leads. B works against it: 90.0% without it.")
    alone = hidden_sentence([rise], "X", 1)
    assert alone.startswith("No single word decides")
    assert alone.endswith("leaves X at 50.0% or more. B works against it: 90.0% without it.")


def test_a_change_is_never_said_smaller_than_it_is():
    tried = [without("A", 1, 0.9, 0.1, "Y"), without("B", 2, 0.9, 0.8899)]
    assert "at most 2 points" in hidden_sentence(tried, "X", 2)
    tried = [without("A", 1, 0.9, 0.1, "Y"), without("B", 2, 0.9, 0.8999)]
    assert "by less than 1 point" in hidden_sentence(tried, "X", 2)


@pytest.mark.parametrize(
    ("tried", "read", "says"),
    [
        (
            FRANCE,
            Read("France", 4, 10.5),
            "It read the answer from France (the largest direct contribution), and without France "
            "it is lost: both ways name the same word.",
        ),
        (
            [without("gave", 16, 0.74, 0.01, "the")],
            Read("Lily", 3, 3.5),
            "Hiding the place of gave costs most, though the answer was read from Lily: earlier "
            "words are gathered there.",
        ),
        (
            [without("capital", 2, 0.9, 0.01, "the")],
            Read("France", 4, 3.5),
            "Hiding the place of capital costs most, though the answer was read from France, which "
            "comes later and may have gathered it.",
        ),
        (EVER, Read("lived", 2, 1.4), "It read the answer most from lived, but does without it."),
        (EVER, Read("lived", 2, -0.1), ""),
        (EVER, None, ""),
        ([], Read("lived", 2, 1.4), ""),
    ],
)
def test_both_ways_are_compared(tried, read, says):
    reads = [] if read is None else [read, Read("a", 1, read.added - 1)]
    assert both_sentence(tried, reads, Own("is", 5, 0.3)) == says


def test_nothing_is_compared_where_the_answer_was_read_nowhere():
    assert both_sentence(EVER, [Read("lived", 2, 1.4)], Own("ever", 4, 7.5)) == ""


@pytest.mark.parametrize(
    ("reads", "own", "says"),
    [
        (
            [Read("Lily", 1, 0.5), Read("Tim", 3, 7.93)],
            Own("and", 5, 1.76),
            "It read the answer most from Tim: +7.93 of the 14.4 that all parts add to its logit. "
            "Next is Lily, +0.5.",
        ),
        (
            [Read("The", 1, 1.47)],
            Own("Shawshank", 0, 8.62),
            "It made the answer mostly in the place of Shawshank itself: the feedforward of layer "
            "0 adds +8.62 of the 14.4 that all parts add to its logit. Of what it read, The adds "
            "most, +1.47.",
        ),
        (
            [Read("The", 1, -1.0)],
            Own("The", 0, 2.0),
            "It made the answer mostly in the place of The itself: the feedforward of layer 0 adds "
            "+2 of the 14.4 that all parts add to its logit.",
        ),
        (
            [Read("The", 1, -1.0)],
            None,
            "It read the answer from no word in particular: none adds anything to its logit.",
        ),
    ],
)
def test_where_the_answer_was_read_is_said(reads, own, says):
    assert read_sentence(reads, own, 14.4) == says
