"""What each token adds to a text: compared with what the tokenizer's own decoder makes of all."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from model_hooks.text.pieces import AT_ONCE, Pieces
from model_hooks.text.tokens import TokenText
from tests.model_hooks.text import decoders as made
from tests.model_hooks.text.decoders import KINDS

LOST = "\ufffd"


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return KINDS[request.param]()


@pytest.fixture(scope="module")
def pieces(tokenizer):
    return Pieces(tokenizer)


def decoded(tokenizer, ids):
    """The decoder's own text; None where it breaks down."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=False)
    except BaseException as error:  # code in Rust that panics raises no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None


def ids_of(tokenizer, *spellings):
    return [tokenizer.convert_tokens_to_ids(spelling) for spelling in spellings]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_pieces_joined_are_what_the_decoder_makes_of_all(tokenizer, pieces, data):
    some = st.sampled_from(range(len(tokenizer)))
    ids = data.draw(st.lists(some, max_size=12))
    whole = tokenizer.decode(ids, skip_special_tokens=False)
    added = pieces.of_text(ids)
    assert len(added) == len(ids)
    if LOST not in whole:
        assert b"".join(added).decode("utf-8", "ignore") == whole
    assert pieces.decode(ids) == whole


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["play", "playing", " ", "pl", "é", "日", ".", "'", "so", "  "])))
def test_bytes_joined_are_the_texts_bytes_where_the_decoder_gives_it_back(tokenizer, pieces, parts):
    text = "".join(parts)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.decode(ids, skip_special_tokens=False) == text:
        assert b"".join(pieces.of_text(ids)) == text.encode()


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_text_that_goes_on_adds_what_it_did_not_have(tokenizer, pieces, data):
    some = st.lists(st.sampled_from(range(len(tokenizer))), max_size=6)
    before, after = data.draw(some), data.draw(some)
    whole = tokenizer.decode([*before, *after], skip_special_tokens=False)
    prompt = tokenizer.decode(before, skip_special_tokens=False)
    added = pieces.decode_after(before, after)
    assert whole.endswith(added)
    if whole.startswith(prompt):
        assert prompt + added == whole


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(sorted(made.STEPS)), max_size=4),
    st.booleans(),
    st.lists(st.integers(0, len(made.ODD_PIECES) + 2), max_size=8),
    st.integers(0, 8),
)
def test_whatever_a_decoder_is_put_together_of_its_text_is_shared_out(steps, clean_up, ids, cut):
    tokenizer = made.of_steps(steps, clean_up)
    pieces = Pieces(tokenizer)
    whole, before = decoded(tokenizer, ids), decoded(tokenizer, ids[:cut])
    assume(whole is not None and before is not None)
    added = pieces.of_text(ids)
    assert len(added) == len(ids)
    if LOST not in whole:
        assert b"".join(added).decode("utf-8", "ignore") == whole
    assert whole.endswith(pieces.decode_after(ids[:cut], ids[cut:]))
    if whole.startswith(before):
        assert before + pieces.decode_after(ids[:cut], ids[cut:]) == whole


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("byte_level", {"Ġp": " p", "p": "p", "  ": "  "}),
        ("metaspace", {"▁pl": " pl", "pl": "pl", "▁": " ", "<s>": "<s>"}),
        ("replace_fuse_strip", {"▁pl": " pl", "pl": "pl", "▁": " ", "<s>": "<s>"}),
        ("byte_fallback", {"▁pl": " pl", "<0x41>": "A", "ing": "ing"}),
        ("added_spaces", {"▁▁▁▁": "    ", "▁pl": " pl", "ay": "ay"}),
        ("word_piece", {"play": " play", "##ing": "ing", "[UNK]": "[UNK]"}),
        ("cleaned_up", {"play": " play", "##ing": "ing"}),
        ("end_of_word", {"pl": "pl", "ay</w>": "ay", "<unk>": "<unk>"}),
        ("at_signs", {"pl@@": "pl", "ay": "ay"}),
        ("byte_level_with_added", {"日": "日", "é so": "é so", "Ġp": " p", "👧": "👧"}),
        ("unigram_first", {"▁pl": " pl", "ay": "ay", "<0x41>": "A"}),
        ("metaspace_never", {"▁pl": " pl", "ay": "ay", "<0x41>": "A"}),
        ("continued", {"pl": " pl", "##ay": "ay"}),
        ("sentencepiece", {"▁play": " play", "<0x41>": "A"}),
    ],
)
def test_on_its_own_a_token_reads_as_inside_a_text(kind, texts):
    tokenizer = KINDS[kind]()
    ids = ids_of(tokenizer, *texts)
    assert TokenText(tokenizer).each(ids) == tuple(texts.values())


@pytest.mark.parametrize("kind", ["word_piece", "cleaned_up", "end_of_word", "byte_level"])
def test_a_whole_vocabulary_takes_few_questions_to_its_decoder(kind, monkeypatch):
    tokenizer = KINDS[kind]()
    tokenizer.add_tokens([f"{letter}{n}" for n in range(100) for letter in "playing"])
    pieces = Pieces(tokenizer)
    pieces.each([0])  # finds an ordinary token to stand beside others
    asked = []
    monkeypatch.setattr(pieces, "_ask", lambda ids: asked.append(ids) or tokenizer.decode(ids))
    pieces.each(range(len(tokenizer)))
    assert 0 < len(asked) < len(tokenizer) / 3


def test_many_tokens_at_once_read_as_one_by_one(tokenizer):
    ids = list(range(len(tokenizer))) * (1 + AT_ONCE // len(tokenizer))
    together, alone = Pieces(tokenizer).each(ids), Pieces(tokenizer)
    assert together == tuple(alone.each([token_id])[0] for token_id in ids)


@pytest.mark.parametrize(
    ("kind", "text", "texts"),
    [
        ("word_piece", "so playing.", ("s", "o", " play", "ing", ".")),
        ("cleaned_up", "so's playing.", ("s", "o", "'", "s", " play", "ing", ".")),
        ("end_of_word", "play so", ("pl", "ay", " s", "o")),
        ("at_signs", "play so", ("pl", "ay", " s", "o")),
        ("metaspace", "play pl", ("pl", "ay", " pl")),
        ("replace_fuse_strip", " play", (" pl", "ay")),
        ("byte_fallback", "pl日", ("pl", "日₁", "日₂", "日₃")),
        ("added_spaces", "s    pl  o", ("s", "    ", "pl", "  ", "o")),
        ("byt5", "é!", ("é₁", "é₂", "!")),
        ("byte_level_with_added", "p日", (" p", "日")),
        ("unigram_first", "pl ay日", ("pl", " ", "ay", "日₁", "日₂", "日₃")),
        ("metaspace_never", "pl pl", ("pl", " pl")),
        ("continued", "play so", ("pl", "ay", " s", "o")),
        ("sentencepiece", "play so 日", ("play", " so", " ", "日₁", "日₂", "日₃")),
    ],
)
def test_tokens_read_as_they_stand_in_their_text(kind, text, texts):
    tokenizer = KINDS[kind]()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(TokenText(tokenizer).strings(ids)) == "".join(texts)
    assert tuple(one for one in TokenText(tokenizer).strings(ids) if one) == texts


def test_bytes_that_form_no_character_are_kept():
    tokenizer = made.byte_fallback()
    ids = ids_of(tokenizer, "pl", "<0xE6>", "<0x97>", "ay")
    assert Pieces(tokenizer).of_text(ids) == (b"pl", b"\xe6", b"\x97", b"ay")
    ids = [byte + 3 for byte in b"a\xe6\x97b"]
    assert b"".join(Pieces(made.byt5()).of_text(ids)) == b"a\xe6\x97b"


def test_without_a_decoder_the_spaces_between_tokens_belong_to_none():
    backend = Tokenizer(models.WordLevel({"A": 0, "B": 1, "▁C": 2}))
    pieces = Pieces(made.fast(backend))
    assert pieces.of_text([0, 1, 2]) == (b"A", b"B", "▁C".encode())
    assert pieces.decode([0, 1, 2]) == "A B ▁C"


def test_ids_without_a_token_add_nothing(tokenizer, pieces):
    known = tokenizer("play", add_special_tokens=False)["input_ids"]
    ids = [known[0], 10**6, -1, *known[1:]]
    added = pieces.of_text(ids)
    assert added[1:3] == (b"", b"")
    assert b"".join(added) == b"".join(pieces.of_text(known))
    assert pieces.decode(ids) == pieces.decode(known)


def test_a_decoder_that_changes_what_came_before_is_followed():
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1, " ": 2}))
    backend.decoder = decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 1, 1)])
    pieces = Pieces(made.fast(backend))
    for ids in ([2, 0, 2, 1, 2], [2, 2, 2, 0], [0, 2, 2]):
        assert b"".join(pieces.of_text(ids)) == backend.decode(ids).encode()


def test_a_decoder_that_breaks_down_leaves_the_spellings():
    backend = Tokenizer(models.WordLevel({"a": 0, " ": 1}))
    backend.decoder = decoders.Strip(" ", 1, 1)  # panics where it would strip a space twice
    assert Pieces(made.fast(backend)).of_text([1]) == (b" ",)
