"""A word hidden in a batch is a word cut off by `Knockout`, one run each."""

from functools import cache

import numpy as np
import pytest

from model_hooks import AblateHead, HookedModel, InterventionError, Knockout, PromptError
from model_hooks.arrays import softmax
from model_hooks.read import hiding
from model_hooks.read.hiding import (
    WithoutWord,
    hideable,
    most_read,
    opening_ids,
    without_words,
    words_of,
)
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

LIGHTHOUSE = "Lily and Tim went to the lighthouse. Lily and"
HIDEABLE = [
    "gpt2",
    "opt",
    "gpt_neox",
    "llama",
    "mistral",
    "gemma2",
    "gpt_oss",
    "mixtral",
    "lfm2",
    "olmo2",
]
"""Learned and rotary positions, windows, a softcap, sinks, experts, layers without attention."""
WORDS = ((1,), (3, 4), (12,))


@cache
def wrapped(family):
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


def cut_off(hooked, token_ids, word, interventions=()):
    """The probabilities with every later query kept from every position of a word."""
    n = len(token_ids)
    links = [Knockout(query, key) for key in word for query in range(word[-1] + 1, n)]
    return softmax(hooked.trace(token_ids, (*interventions, *links)).last_logits)


@pytest.mark.parametrize("family", HIDEABLE)
@pytest.mark.parametrize("interventions", [(), "head"], ids=["plain", "without a head"])
def test_a_hidden_word_is_one_that_later_queries_are_cut_off_from(family, interventions):
    hooked = wrapped(family)
    ids = tiny_prompt(14)
    layer = hooked.info.attention_layers[-1]
    off = (AblateHead(layer, 1),) if interventions else ()
    before = softmax(hooked.trace(ids, off).last_logits)
    for found in without_words(hooked, ids, 7, WORDS, off):
        expected = cut_off(hooked, ids, found.word, off)
        assert found.probability == pytest.approx(expected[7], rel=1e-4, abs=1e-7)
        assert found.leading == pytest.approx(expected.max(), rel=1e-4)
        assert expected[found.leading_id] == pytest.approx(expected.max(), rel=1e-4)
        assert np.abs(np.log(expected / before)).max() > 1e-2


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "lfm2"])
def test_a_batch_is_used_where_it_gives_the_same(family, monkeypatch):
    hooked, ran = wrapped(family), []
    run = hiding._hidden
    monkeypatch.setattr(hiding, "_hidden", lambda *given: ran.append(given[2]) or run(*given))
    without_words(hooked, tiny_prompt(14), 7, WORDS)
    assert ran[-1] == WORDS


def test_where_a_batch_would_differ_each_word_is_run_alone(monkeypatch):
    hooked = wrapped("llama")
    together = without_words(hooked, tiny_prompt(14), 7, WORDS)
    monkeypatch.setattr(hiding, "_runs_together", lambda model: False)
    alone = without_words(hooked, tiny_prompt(14), 7, WORDS)
    np.testing.assert_allclose(
        [one.probability for one in together], [one.probability for one in alone], atol=1e-6
    )


@pytest.mark.parametrize("family", ["bloom", "gptj"])
def test_attention_that_cannot_be_changed_is_refused(family):
    with pytest.raises(InterventionError, match="computes attention in a way of its own"):
        without_words(wrapped(family), tiny_prompt(6), 7, ((1,),))


@pytest.mark.parametrize("word", [(), (5,), (4, 5), (-1,)])
def test_only_words_that_a_later_token_reads_can_be_hidden(word):
    with pytest.raises(PromptError, match="no word at positions"):
        without_words(wrapped("llama"), tiny_prompt(6), 7, (word,))


@pytest.fixture(scope="module")
def storyteller():
    from model_hooks import load_model

    return load_model("storyteller")


def test_without_the_name_the_storyteller_does_not_say_it(storyteller):
    ids = storyteller.encode(LIGHTHOUSE)
    tokens = storyteller.token_strings(ids)
    assert ids[0] in opening_ids(storyteller)
    words = hideable(words_of(tokens, 1), len(ids) - 1, 1)
    tim = next(word for word in words if tokens[word[0]] == " Tim")
    answer = int(storyteller.trace(ids).last_logits.argmax())
    assert storyteller.token_strings([answer]) == (" Tim",)
    found = without_words(storyteller, ids, answer, words)
    for one in found:
        assert one.probability == pytest.approx(
            cut_off(storyteller, ids, one.word)[answer], abs=1e-5
        )
    without = {one.word: one for one in found}
    assert without[tim].probability == pytest.approx(0.04, abs=0.01)
    assert storyteller.token_strings([without[tim].leading_id]) != (" Tim",)
    assert min(found, key=lambda one: one.probability).word == tim


def test_pieces_of_a_word_are_put_together():
    tokens = ("<s>", "The", " light", "h", "ouse", ".", " It", "'", "s", " 1", "2", "3")
    assert words_of(tokens, 1) == (
        (1,), (2, 3, 4), (5,), (6,), (7,), (8,), (9, 10, 11),
    )  # fmt: skip
    assert words_of(()) == ()
    assert words_of(("w1", "w2")) == ((0,), (1,))


def test_letters_without_spaces_between_words_stay_apart():
    assert words_of((" 你", "好", "吗")) == ((0,), (1,), (2,))


def test_neither_the_asking_token_nor_what_comes_before_the_first_can_be_hidden():
    words = ((0,), (1, 2), (3, 4))
    assert hideable(words, 4) == ((0,), (1, 2), (3,))
    assert hideable(words, 4, first=1) == ((1, 2), (3,))
    assert hideable(words, 0) == ()


def test_the_words_that_are_read_most_are_kept_in_order():
    by_key = np.zeros(400)
    by_key[:9] = [0.5, 1.0, -3.0, 0.4, 0.3, 0.2, 0.1, 0.6, 2.0]
    words = ((0,), (1, 2), (3,), (4,), (5,), (6,), (7,), (8,))
    assert most_read(words, by_key) == ((0,), (3,), (4,), (5,), (7,), (8,))


def test_all_words_of_a_short_text_are_kept():
    words = tuple((pos,) for pos in range(18))
    assert most_read(words, np.arange(19) - 5.0) == words
    assert len(most_read(words, np.zeros(60))) == 6


def test_the_answer_is_a_plain_value():
    found = without_words(wrapped("llama"), tiny_prompt(6), 7, ((1,),))
    assert type(found[0]) is WithoutWord
    assert {type(value) for value in found[0]} == {tuple, float, int}
