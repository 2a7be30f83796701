"""Sentences and the table about the prompt's tokens."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from model_hooks import TokenizerView
from pages.tokenizer import chips
from pages.tokenizer.prompt import (
    change_made,
    describe,
    first_to_see,
    lost_sentence,
    table_of,
    with_space_put_first,
)
from tests.model_hooks.text.decoders import KINDS
from tests.pages.tokenizer.conftest import END


@pytest.fixture
def read(tiny_session):
    return lambda text: chips.read("any", text)


def test_the_table_lists_every_token(read):
    table = table_of(read("the é"))
    assert table["token_id"].tolist() == [259, 116, 256, 32, 0xC3, 0xA9]
    assert table["bytes"].tolist() == ["", "74", "68 65", "20", "C3", "A9"]
    assert table["merge_rank"].dropna().tolist() == [0]
    assert table["first_character"].dropna().tolist() == [0, 1, 3, 4, 4]
    assert table["stop_character"].dropna().tolist() == [1, 3, 4, 5, 5]


def test_a_merged_token_names_its_two_pieces(read):
    text = read("cat the")
    assert describe(text, 4) == (
        "**·the** has the token ID **258**. It stands for 4 bytes: `20 74 68 65`. It was made by "
        "joining ·t and he: merge rank 2 of 3."
    )


def test_a_piece_of_a_character_says_which(read):
    text = describe(read("é"), 2)
    assert text.startswith("**⟨A9⟩** has the token ID **169**. It stands for 1 byte: `A9`.")
    assert "It is piece 2 of 2 of é. No merge made it." in text


def test_an_added_token_says_so(read):
    text = describe(read("x"), 0)
    assert "The tokenizer puts it there by itself. Rank by ID: 259 of 260." in text
    assert r"**\<\|endoftext\|\>**" in text


def test_the_first_piece_of_a_cut_word_is_shown_at_first(read):
    assert first_to_see(read("the cat")) == 1  # t, he
    assert first_to_see(read("x the")) == 1  # x and the: no word is cut
    assert first_to_see(read(". cat")) == 3  # after the beginning, the dot and the space
    assert first_to_see(read(END)) == 0


@pytest.mark.parametrize(
    ("kind", "text", "first"),
    [
        ("metaspace", "play", "▁pl"),
        ("replace_fuse_strip", "play", "▁pl"),
        ("metaspace", "", None),
        ("added_spaces", "play", None),  # Gemma puts none
        ("added_spaces", " play", None),  # typed
        ("byte_level", " play", None),
    ],
)
def test_a_space_that_the_tokenizer_puts_first_is_told_from_a_typed_one(kind, text, first):
    assert with_space_put_first(TokenizerView(KINDS[kind]()).tokenize(text)) == first


def test_a_changed_text_is_quoted_where_it_changes(tokenizer):
    view = TokenizerView(tokenizer)
    assert change_made(view.tokenize("the cat")) is None
    at, was, became = change_made(view.tokenize("the bird"))
    assert at == 4
    assert was == "bird"
    assert became == r"\<unk\>"


def test_a_text_that_ends_early_is_said_to_end(tokenizer):
    cut = TokenizerView(tokenizer).tokenize("the  ")
    assert change_made(cut) == (3, "··", "the end")


def test_what_no_token_stands_for_is_named():
    backend = Tokenizer(BPE({"A": 0, "B": 1}, []))
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert view.tokenize("A B").lost == ()
    cut = view.tokenize("ab*A c")
    assert cut.lost == ((0, 3), (5, 6))
    assert lost_sentence(cut).startswith(r"No token stands for “ab\*”, “c”: the model")
    assert "“x”, …:" in lost_sentence(view.tokenize("xA" * 6))
