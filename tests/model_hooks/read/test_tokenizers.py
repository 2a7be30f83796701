"""What is asked of a tokenizer by its name is what the tokenizer itself says."""

import pickle

import pytest

from model_hooks import ModelError, PromptError, load_model, load_tokenizer
from model_hooks.read.tokenizers import (
    SINGLE_BYTES,
    chat_tokens,
    entries,
    found_tokens,
    merged_word,
    tokenized,
    tokenizer_facts,
    word_tokens,
)

TEXT = "Once upon a time, there was 東京 <b>."


@pytest.fixture(scope="module")
def model():
    return load_model("storyteller")


def test_a_text_is_cut_as_the_models_own_tokenizer_cuts_it(model):
    cut = tokenized(model, TEXT)
    assert list(cut.token_ids) == model.encode(TEXT)
    assert cut.decoded == TEXT
    assert tokenized(model, TEXT, 3).tokens == cut.tokens[:3]


def test_another_tokenizer_cuts_by_its_name(model):
    cut = tokenized(model, TEXT, by=SINGLE_BYTES)
    assert bytes(cut.token_ids) == TEXT.encode()
    named = tokenized(model, TEXT, by="storyteller")
    assert list(named.token_ids) == load_tokenizer("storyteller")(TEXT)["input_ids"]
    with pytest.raises(ModelError, match="no-such"):
        tokenized(model, TEXT, by="./no-such-tokenizer")


def test_facts_are_those_of_the_tokenizer(model):
    facts = tokenizer_facts(model)
    assert facts.vocab_size == len(model.tokenizer)
    assert facts.class_name == type(model.tokenizer).__name__
    assert facts.algorithm == "BPE"
    assert {token.token_id for token in facts.special_tokens} == set(
        model.tokenizer.all_special_ids
    )
    bare = tokenizer_facts(model, SINGLE_BYTES)
    assert (bare.vocab_size, bare.n_merges, bare.is_byte_level) == (256, 0, True)
    assert bare.chat_template is None


def test_entries_tell_how_tokens_came_to_be(model):
    found = entries(model, tokenized(model, TEXT, add_special_tokens=False).token_ids)
    assert b"".join(entry.utf8 for entry in found).decode() == TEXT
    merged = [entry for entry in found if entry.merge is not None]
    assert merged
    for entry in merged:
        assert entry.merge.left + entry.merge.right == entry.piece
        if all("⟨" not in part for part in entry.merged):
            assert "".join(entry.merged) == entry.text
    (byte,) = entries(model, (65,), SINGLE_BYTES)
    assert (byte.text, byte.utf8, byte.merge, byte.score) == ("A", b"A", None, None)


def test_words_are_merged_to_what_the_tokenizer_makes(model):
    cut = tokenized(model, " there", add_special_tokens=False)
    spelling = cut.words[0].spelling
    whole = merged_word(model, spelling, 40)
    assert (whole.whole, whole.agrees) == (True, True)
    assert whole.steps[-1].token_ids == word_tokens(model, spelling) == cut.token_ids
    part = merged_word(model, spelling, 3)
    assert not part.whole
    assert len(part.steps[0].token_ids) == 3


def test_tokens_are_found_by_their_text(model):
    for token_id in found_tokens(model, "ing")[:5]:
        assert "ing" in entries(model, (token_id,))[0].text.lower()
    assert found_tokens(model, "\0nothing has this") == ()


def test_a_tokenizer_without_a_template_says_so(model):
    with pytest.raises(PromptError, match="no chat template"):
        chat_tokens(model, TEXT, by=SINGLE_BYTES)


def test_answers_survive_pickling(model):
    answers = (tokenized(model, TEXT), tokenizer_facts(model), entries(model, (1, 400)))
    answers = (*answers, merged_word(model, "there", 40), found_tokens(model, "cat"))
    assert pickle.loads(pickle.dumps(answers)) == answers
