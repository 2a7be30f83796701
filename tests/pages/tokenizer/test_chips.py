"""What chips say of their tokens."""

import pytest

from pages.tokenizer import chips
from pages.tokenizer.chips import hexadecimal, hints, legend, marks, rank_text
from tests.pages.tokenizer.conftest import END


@pytest.fixture
def read(tiny_session):
    return lambda text, limit=None: chips.read("any", text, limit)


def test_bytes_are_two_digits_each():
    assert hexadecimal("é\n".encode()) == "C3 A9 0A"


def test_a_piece_of_a_character_shows_its_own_byte(read):
    assert read("aé").chips == [END, "a", "⟨C3⟩", "⟨A9⟩"]


def test_marks_and_their_legend_name_only_what_occurs(read):
    plain, typed = read("the").cut.tokens, read(f"x{END}").cut.tokens
    assert marks(plain) == {0: "added"}
    assert legend(plain) == "**added**: the tokenizer puts it there by itself"
    assert marks(typed) == {0: "added", 2: "special"}
    assert "special" in legend(typed)


def test_ranks_tell_which_merge_made_a_token(read):
    text = read(" thex")
    told = [rank_text(text, token) for token in text.cut.tokens]
    assert told == ["rank by ID: 259 of 260", "merge rank 2 of 3", "no merge made it"]
    assert hints(text)[1] == "bytes 20 74 68 65, merge rank 2 of 3"


def test_only_the_first_tokens_are_described(read):
    text = read("xyz" * 5, 4)
    assert len(text.cut.tokens) == len(text.chips) == 4
    assert len(text.cut.token_ids) == 16


def test_another_tokenizer_cuts_the_same_text_its_own_way(tiny_session):
    text = chips.read("any", "the", by="single bytes")
    assert text.cut.token_ids == tuple(b"the")
    assert text.facts.vocab_size == 256
