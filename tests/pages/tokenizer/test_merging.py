"""Sentences and tables about the merges of a word."""

import numpy as np
import pytest

from model_hooks.read.tokenizers import Entry, merged_word
from model_hooks.text.cuts import Word
from model_hooks.text.merges import MergeStep
from model_hooks.text.vocabulary import Merge
from pages.tokenizer.merging import (
    MAX_SYMBOLS,
    merge_sentence,
    merge_table,
    shown_first,
    unigram_table,
)


@pytest.fixture
def words(hooked):
    """What the tokenizer says of a text, by the text."""
    from model_hooks import TokenizerView

    return TokenizerView(hooked.tokenizer).tokenize


def test_a_word_too_long_for_the_screen_is_cut_to_its_beginning(hooked, words):
    (word,) = words("x" * 5000).words
    merged = merged_word(hooked, word.spelling, MAX_SYMBOLS)
    assert len(merged.steps[0].token_ids) == MAX_SYMBOLS
    assert not merged.whole
    assert merged.agrees


def test_a_token_shows_its_word_and_one_without_the_last(words):
    cut = words("cat the")
    assert shown_first(cut, 1) == "cat"
    assert shown_first(cut, 4) == "·the"
    assert shown_first(cut, 0) == "·the"
    assert shown_first(words(""), 0) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", "**x** is a single byte: there is nothing to merge."),
        ("cat", "**cat** stays as it is: no two of its pieces were ever merged in training."),
        (
            " the",
            "**·the** begins as 4 bytes. Again and again, the neighbouring pair that was learned "
            "first is joined: after 3 merges, 1 token is left.",
        ),
        (
            "the",
            "**the** begins as 3 bytes. Again and again, the neighbouring pair that was learned "
            "first is joined: after 1 merge, 2 tokens are left.",
        ),
    ],
)
def test_the_sentence_counts_pieces_merges_and_tokens(hooked, words, text, sentence):
    (word,) = words(text).words
    assert merge_sentence(word, merged_word(hooked, word.spelling, MAX_SYMBOLS), "byte") == sentence


def test_rows_name_the_pieces_that_were_joined_there(hooked):
    merged = merged_word(hooked, "Ġthe", MAX_SYMBOLS)
    texts = {token_id: hooked.token_strings([token_id])[0] for token_id in range(260)}
    frame = merge_table(merged, texts)
    assert frame.values.tolist() == [
        [1, "h", "e", "he", 0],
        [2, "·", "t", "·t", 1],
        [3, "·t", "he", "·the", 2],
    ]


def test_a_token_that_two_merges_make_is_told_by_the_one_that_made_it():
    steps = (MergeStep((0, 1, 2)), MergeStep((3, 2), 0, Merge(7, "a", "b")))
    from model_hooks.read.tokenizers import MergedWord

    frame = merge_table(MergedWord(steps, True, True), {0: "a", 1: "b", 2: "c", 3: "ab"})
    assert frame.values.tolist() == [[1, "a", "b", "ab", 7]]


def test_unigram_tokens_come_with_their_surprise_in_bits():
    entries = [
        Entry(5, "▁a", " a", b" a", None, None, -2.5),
        Entry(6, "b", "b", b"b", None, None, -3.0),
    ]
    frame = unigram_table(entries)
    assert frame["surprise (bits)"].tolist() == pytest.approx([2.5 / np.log(2), 3 / np.log(2)])
    assert frame.values[:, :2].tolist() == [["·a", 5], ["b", 6]]


def test_odd_words_stand_in_the_sentence_as_themselves(hooked):
    merged = merged_word(hooked, "$x$", MAX_SYMBOLS)
    assert merge_sentence(Word("$x$", "$x$"), merged, "byte").startswith(r"**\$x\$** stays")
