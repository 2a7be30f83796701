import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["Once upon a time there was a dog."] * 5, 280, 32)


@given(st.text())
def test_every_text_survives(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_a_text_starts_with_end_of_text_by_default(tokenizer):
    ids = tokenizer("a dog")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert tokenizer.bos_token_id not in ids[1:]
