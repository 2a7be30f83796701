"""What is said of two tokenizers, and of a search."""

import pytest

from pages.tokenizer import chips
from pages.tokenizer.compare import card, comparison, others
from pages.tokenizer.search import MAX_FOUND, count_sentence
from pages.widgets.models import offered_models


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("a", 4), ("b", 6), "**a** needs 4 tokens, **b** 6: 1.5 times as many."),
        (("a", 3000), ("b", 1), "**b** needs 1 token, **a** 3,000: 3,000 times as many."),
        (("a", 4), ("b", 4), "**a** and **b** both need 4 tokens."),
        (("a_b", 4), ("b", 4), r"**a\_b** and **b** both need 4 tokens."),
    ],
)
def test_the_one_that_needs_fewer_tokens_is_named_first(first, second, said):
    assert comparison(first, second) == said


def test_a_model_is_not_compared_with_itself_by_default():
    names = offered_models()
    assert others(names[0]) == ["single bytes", *names[1:]]
    assert others("some/model") == ["single bytes", *names]


def test_the_card_counts_tokens_and_vocabulary(tiny_session):
    said = card("tiny", chips.read("any", "the the"))
    assert said.startswith("**tiny**: 4 tokens, 2.33 characters per token")
    assert "BPE, vocabulary of 260" in said
    assert "2 tokens, 1 character per token" in card("tiny", chips.read("any", "q"))


@pytest.mark.parametrize(
    ("n_found", "said"),
    [
        (1, "1 of 5,000 tokens contains this."),
        (0, "0 of 5,000 tokens contain this."),
        (MAX_FOUND, "200 of 5,000 tokens contain this."),
        (1234, "1,234 of 5,000 tokens contain this; the first 200 are shown."),
    ],
)
def test_found_tokens_are_counted(n_found, said):
    assert count_sentence(n_found, 5000) == said
