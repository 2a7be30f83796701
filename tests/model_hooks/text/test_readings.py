"""Words inside a text: the token that the tokenizer itself puts there in a text that has it."""

import pytest

from model_hooks.text.pieces import Pieces
from model_hooks.text.readings import ids_inside
from tests.model_hooks.text.decoders import KINDS


@pytest.mark.parametrize(
    ("kind", "word", "spellings"),
    [
        ("metaspace", "ay", ["ay"]),
        ("metaspace", ".", ["."]),
        ("metaspace", " pl", ["▁pl"]),
        ("replace_fuse_strip", "pl", ["pl"]),
        ("replace_fuse_strip", " play", ["▁pl", "ay"]),
        ("byte_fallback", "日", ["<0xE6>", "<0x97>", "<0xA5>"]),
        ("added_spaces", "    ", ["▁▁▁▁"]),
        ("word_piece", "ing", ["##ing"]),
        ("word_piece", " play", ["play"]),
        ("end_of_word", "ay", ["ay</w>"]),
        ("end_of_word", "pl", ["pl"]),
        ("at_signs", "pl", ["pl@@"]),
        ("byte_level", " p", ["Ġp"]),
        ("byte_level", "é", ["Ã", "©"]),
    ],
)
def test_a_word_is_spelled_as_it_stands_inside_a_text(kind, word, spellings):
    tokenizer = KINDS[kind]()
    found = ids_inside(tokenizer, Pieces(tokenizer), word)
    assert tokenizer.convert_ids_to_tokens(list(found)) == spellings
    assert b"".join(Pieces(tokenizer).inside(found)) == word.encode()


def test_what_the_vocabulary_cannot_spell_reads_as_alone():
    tokenizer = KINDS["metaspace"]()
    pieces = Pieces(tokenizer)
    alone = tokenizer("日", add_special_tokens=False)["input_ids"]
    assert ids_inside(tokenizer, pieces, "日") == tuple(alone)
    assert ids_inside(tokenizer, pieces, "") == ()
