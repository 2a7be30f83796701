import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from model_hooks.text.tokens import TokenText, clean_text


@pytest.fixture(scope="module")
def byte_tokenizer():
    """One token per byte, and a special one: every character beyond ASCII is cut to pieces."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(BPE({char: i for i, char in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


@pytest.fixture(scope="module")
def text_of(byte_tokenizer):
    return TokenText(byte_tokenizer)


def test_plain_letters_stand_for_themselves(byte_tokenizer, text_of):
    assert text_of.strings(byte_tokenizer("a b\n").input_ids) == ("a", " ", "b", "\n")


def test_the_pieces_of_a_character_are_numbered(byte_tokenizer, text_of):
    assert text_of.strings(byte_tokenizer("é").input_ids) == ("é₁", "é₂")
    assert text_of.strings(byte_tokenizer("x😀").input_ids) == ("x", "😀₁", "😀₂", "😀₃", "😀₄")


def test_half_a_character_shows_its_bytes(byte_tokenizer, text_of):
    first_byte, *_ = byte_tokenizer("😀").input_ids
    assert text_of.strings([first_byte]) == ("⟨F0⟩",)


def test_special_tokens_are_shown_as_written(byte_tokenizer, text_of):
    assert text_of.strings([byte_tokenizer.eos_token_id]) == ("<|endoftext|>",)


def test_an_id_without_a_token_shows_its_number(text_of):
    assert text_of.strings([70_000]) == ("⟨70000⟩",)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(byte_tokenizer, text_of, text):
    text = clean_text(text)
    ids = byte_tokenizer(text).input_ids
    assert b"".join(text_of.bytes_of(i) for i in ids).decode() == text
    assert len(text_of.strings(ids)) == len(ids)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00", "\0", "‮abc", "👩‍👩‍👧"])
def test_cleaned_text_can_be_encoded(text):
    clean_text(text).encode("utf-8")


def test_a_pair_of_surrogates_is_one_character():
    assert clean_text("\ud83d\ude00") == "😀"
    assert clean_text("a\ud800b") == "a\ufffdb"
