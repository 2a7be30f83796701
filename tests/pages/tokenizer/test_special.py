"""What is said of special tokens."""

from dataclasses import replace

from model_hooks.text.vocabulary import SpecialToken
from pages.tokenizer.special import sentence, table_of

BEGIN = SpecialToken(0, "<s>", ("bos_token",), True, (0,))
UNKNOWN = SpecialToken(1, "<unk>", ("unk_token", "pad_token"), False, (1,))
ODD = SpecialToken(2, "`$x$`", (), False, (2,))


def test_what_is_added_is_named_with_its_id():
    assert sentence((UNKNOWN, BEGIN)) == (
        "This tokenizer has 2 special tokens and adds `<s>` (ID 0) to every prompt. Type `<s>` "
        "into the prompt: it becomes that one token, not text."
    )


def test_none_and_none_added_are_told_apart():
    assert sentence(()) == "This tokenizer has no special tokens."
    assert sentence((UNKNOWN,)).startswith(
        "This tokenizer has 1 special token and adds none to a prompt. Type `<unk>`"
    )


def test_a_token_with_backticks_is_still_code():
    assert "Type `` `$x$` `` into the prompt" in sentence((ODD,))


def test_the_table_says_what_each_is_for():
    table = table_of((BEGIN, UNKNOWN, ODD))
    assert table["what for"].tolist() == [
        "begins a text (BOS)",
        "stands for what the vocabulary lacks (UNK); fills up short texts (PAD)",
        "",
    ]
    assert table["added to every prompt"].tolist() == [True, False, False]


def test_what_typing_did_is_said():
    said = {
        (2,): "it becomes that one token, not text.",
        (5, 6, 5): "it does not become that token, but 3 other ones.",
        (5, 2): "it becomes that token and 1 other one.",
        (): "it becomes nothing.",
    }
    for typed_ids, end in said.items():
        assert sentence((replace(ODD, typed_ids=typed_ids),)).endswith(f"into the prompt: {end}")


def test_the_example_is_a_token_that_can_be_typed():
    split = replace(BEGIN, typed_ids=(5, 6, 5))
    assert "Type `` `$x$` `` into the prompt" in sentence((split, ODD))
    assert table_of((split, ODD))["typed, it becomes"].tolist() == ["5, 6, 5", "2"]
