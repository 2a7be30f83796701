"""What is said of many texts and of a beam search follows their numbers."""

import pytest

from model_hooks import Decoding
from model_hooks.experiments.beams import BeamSearch
from model_hooks.experiments.continuations import Text
from model_hooks.host import Run
from pages.lm_head import beams, continuing, texts
from pages.lm_head.beams import results_table, steps_table, verdict
from pages.lm_head.continuing import LETTERS, shown_text
from pages.lm_head.seen import Seen
from pages.lm_head.texts import repetition, spread_sentence, table_of

SEEN = Seen(Run("tiny", (0,)), ("a",), 0, Decoding(), (), 0)


@pytest.fixture
def written_in_numbers(monkeypatch):
    """Show a text as its token IDs."""

    def shown(seen, text, letters=None):
        return " ".join(map(str, text.token_ids))

    for module in (beams, texts):
        monkeypatch.setattr(module, "shown_text", shown)


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


@pytest.mark.parametrize(
    ("penalty", "order"), [(0.0, ["2", "1 1 1", "3"]), (1.0, ["1 1 1", "2", "3"])]
)
def test_results_are_ranked_by_the_score_that_was_asked_for(written_in_numbers, penalty, order):
    results = Text((2,), (-2.0,)), Text((1, 1, 1), (-1.0,) * 3)
    found = BeamSearch((0,), 2, penalty, (), results, ())
    table = results_table(SEEN, found, Text((3,), (-4.0,)))
    assert table.text.tolist() == order
    assert table.found_by.tolist() == ["beam search", "beam search", "greedy"]
    assert dict(zip(table.text, table.tokens, strict=True)) == {"2": 1, "1 1 1": 3, "3": 1}


def test_a_text_that_both_found_has_one_row(written_in_numbers):
    results = Text((2,), (-1.0,)), Text((1,), (-2.0,))
    table = results_table(SEEN, BeamSearch((0,), 2, 0.0, (), results, ()), results[1])
    assert table.found_by.tolist() == ["beam search", "both"]


def test_the_file_of_a_search_counts_steps_and_ranks_from_one(written_in_numbers):
    a, b, c = Text((1,), (-1.0,)), Text((2,), (-2.0,)), Text((1, 2), (-1.0, -1.0), ended=True)
    table = steps_table(SEEN, BeamSearch((0,), 2, 0.0, ((a, b), (c,)), (c,), ()), b)
    assert [tuple(row) for row in table[["step", "rank", "kind", "text", "ended"]].values] == [
        (1, 1, "kept", "1", False),
        (1, 2, "kept", "2", False),
        (2, 1, "kept", "1 2", True),
        (2, 1, "result", "1 2", True),
        (1, 1, "greedy", "2", False),
    ]


def test_texts_are_counted_and_the_most_frequent_come_first(written_in_numbers):
    often, better, worse = Text((1, 1), (-3.0, 0.0)), Text((2,), (-1.0,)), Text((3,), (-2.0,))
    table = table_of(SEEN, better, [worse, often, better, often])
    assert table.by.tolist() == ["greedy", "sampling", "sampling", "sampling"]
    assert table.text.tolist() == ["2", "1 1", "2", "3"]
    assert table.times.tolist() == [4, 2, 1, 1]


@pytest.mark.parametrize("n_letters", [LETTERS - 1, LETTERS, LETTERS + 1, 3 * LETTERS])
def test_a_long_text_is_cut_to_its_room_and_whole_in_a_file(monkeypatch, n_letters):
    whole = "x" * n_letters
    monkeypatch.setattr(continuing, "_decode_after", lambda *asked: whole)
    shown = shown_text(SEEN, Text((1,), (0.0,)))
    assert len(shown) == min(n_letters, LETTERS)
    assert shown.removesuffix("…") == whole[: len(shown.removesuffix("…"))]
    assert shown.endswith("…") == (n_letters > LETTERS)
    assert shown_text(SEEN, Text((1,), (0.0,)), None) == whole
