"""Whatever a tokenizer does with a text ends in token IDs or in one sentence."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from model_hooks import PromptError, TokenizerView
from model_hooks.text.encoding import encoded, ids_of
from model_hooks.text.pieces import Pieces
from model_hooks.text.readings import ids_inside
from tests.model_hooks.text.decoders import KINDS, fast


def panicking() -> PreTrainedTokenizerBase:
    """Its code in Rust panics at every text that is not empty."""
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<s>": 2}, unk_token="a"))
    backend.pre_tokenizer = pre_tokenizers.FixedLength(length=0)
    return fast(backend, bos_token="<s>")


def without_unknown() -> PreTrainedTokenizerBase:
    """Unigram that has nothing for what its vocabulary lacks."""
    backend = Tokenizer(models.Unigram([("b", -1.0), ("<s>", -1.0)], None))
    return fast(backend, bos_token="<s>")


FAILING = {"panicking": panicking, "without_unknown": without_unknown}


@pytest.mark.parametrize("kind", FAILING)
def test_a_text_that_a_tokenizer_fails_on_gets_its_reason(kind):
    tokenizer = FAILING[kind]()
    reasons = {"panicking": "chunk size", "without_unknown": "unknown token"}
    with pytest.raises(PromptError, match=rf"tokenizer fails on this text: .*{reasons[kind]}"):
        encoded(tokenizer, "aé")
    with pytest.raises(PromptError):
        TokenizerView(tokenizer).tokenize("aé")
    with pytest.raises(PromptError):
        ids_inside(tokenizer, Pieces(tokenizer), "é")


@pytest.mark.parametrize("kind", FAILING)
def test_special_tokens_are_told_all_the_same(kind):
    (token,) = TokenizerView(FAILING[kind]()).special_tokens()
    assert (token.text, token.added) == ("<s>", False)


def test_a_word_that_cannot_be_cut_is_refused():
    with pytest.raises(PromptError, match="unknown token"):
        TokenizerView(without_unknown()).cut("é")


def test_ids_are_the_tokenizers_own():
    for make in KINDS.values():
        tokenizer = make()
        assert ids_of(tokenizer, "play so") == list(tokenizer("play so")["input_ids"])


def test_a_decoder_that_panics_when_it_is_tried_is_no_obstacle():
    backend = Tokenizer(models.WordLevel({"a": 0, "Ġ": 1, " ": 2}))
    steps = [decoders.ByteLevel(), decoders.Strip(" ", 0, 1)]
    backend.decoder = decoders.Sequence(steps)
    pieces = Pieces(fast(backend))
    assert pieces.decode([0]) == "a"
    assert b"".join(pieces.of_text([0, 0])) == b"aa"
