import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece
from transformers import PreTrainedTokenizerFast

from model_hooks import PromptError, TokenizerView
from model_hooks.text.cuts import SplitCharacter, left_out, split_characters
from model_hooks.text.merges import MergeStep
from model_hooks.text.tokenization import byte_tokenizer
from model_hooks.text.tokens import clean_text
from model_hooks.text.vocabulary import Merge
from tests.model_hooks.text.decoders import KINDS

TEXTS = ["the cat sat on the mat and the other cat sat there", "unhappy cats are unbelievable"]
END = "<|endoftext|>"
FAMILY = "👩\u200d👩\u200d👧"


@pytest.fixture(scope="module")
def byte_level():
    """Byte-level BPE that puts `<|endoftext|>` before every text, like the bundled one."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=290, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=END, eos_token=END)


@pytest.fixture(scope="module")
def sentencepiece():
    """BPE over characters as SentencePiece has it: `▁` for spaces, bytes for the rest."""
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *"acehnostu", "at", "he", "▁t", "▁the", "▁c", "▁cat"]
    merges = [("a", "t"), ("h", "e"), ("▁", "t"), ("▁t", "he"), ("▁", "c"), ("▁c", "at")]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(BPE(vocab, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        unk_token="<unk>",
        chat_template="{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant:{% endif %}",
    )


@pytest.fixture(scope="module", params=["byte_level", "sentencepiece"])
def view(request):
    return TokenizerView(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def byte_view(byte_level):
    return TokenizerView(byte_level)


@pytest.fixture(scope="module")
def sentencepiece_view(sentencepiece):
    return TokenizerView(sentencepiece)


@pytest.fixture(scope="module")
def toy():
    """Three letters and three merges, small enough to follow by hand."""
    vocab = {piece: i for i, piece in enumerate(["a", "b", "c", "bc", "abc", "aa"])}
    merges = [("b", "c"), ("a", "bc"), ("a", "a")]
    return TokenizerView(PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE(vocab, merges))))


def test_merges_follow_the_ranks(toy):
    assert toy.merge_steps("abcab") == (
        MergeStep((0, 1, 2, 0, 1)),
        MergeStep((0, 3, 0, 1), 1, Merge(0, "b", "c")),
        MergeStep((4, 0, 1), 0, Merge(1, "a", "bc")),
    )


def test_of_equal_merges_the_leftmost_comes_first(toy):
    assert [step.token_ids for step in toy.merge_steps("aaa")] == [(0, 0, 0), (5, 0)]


def test_each_token_knows_its_merge(toy):
    assert [toy.merge_of(i) for i in (0, 4)] == [None, Merge(1, "a", "bc")]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*"thecas no", "the", " cat", "é", "😀", "\n"]), max_size=14))
def test_merging_ends_at_the_tokens_of_the_tokenizer(view, parts):
    cut = view.tokenize("".join(parts))
    for index, word in enumerate(cut.words):
        ids = view.merge_steps(word.spelling)[-1].token_ids
        assert ids == view.cut(word.spelling)
        first = cut.word_of.index(index)
        assert ids == cut.token_ids[first : first + len(ids)]


def test_suffixes_and_unknown_characters_are_merged_like_the_tokenizer_does():
    vocab = {"<unk>": 0, "l": 1, "o": 2, "w": 3, "w</w>": 4, "ow</w>": 5, "low</w>": 6}
    model = BPE(
        vocab,
        [("o", "w</w>"), ("l", "ow</w>")],
        unk_token="<unk>",
        fuse_unk=True,
        end_of_word_suffix="</w>",
    )
    backend = Tokenizer(model)
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"))
    for word in ("low", "lowlow", "lo??w", "?"):
        assert view.merge_steps(word)[-1].token_ids == view.cut(word)
    assert view.merge_steps("low")[-1].token_ids == (6,)


def test_words_carry_the_space_before_them(byte_view, sentencepiece_view):
    for view, space in ((byte_view, "Ġ"), (sentencepiece_view, "▁")):
        cut = view.tokenize("the cat the")
        assert [word.text.strip() for word in cut.words[:2]] == ["the", "cat"]
        assert cut.words[1].spelling == f"{space}cat"


def test_token_ids_are_those_of_the_tokenizer(view):
    text = "the cat sat é 😀 \0 there"
    cut = view.tokenize(text)
    assert list(cut.token_ids) == view.tokenizer(text).input_ids
    assert [token.token_id for token in cut.tokens] == list(cut.token_ids)
    assert b"".join(token.utf8 for token in cut.tokens).decode().strip() == text


def test_bytes_of_the_tokens_are_the_bytes_of_the_text(byte_view):
    for text in ("שלום <script>", "\r\n\t\0\x07", "e\u0301", FAMILY, "\ud800"):
        cut = byte_view.tokenize(text)
        assert b"".join(token.utf8 for token in cut.tokens) == clean_text(text).encode()


def test_a_limit_describes_the_first_tokens_and_counts_all(byte_view):
    text = "the cat " * 200
    cut, whole = byte_view.tokenize(text, limit=7), byte_view.tokenize(text)
    assert len(cut.tokens) == 7
    assert cut.token_ids == whole.token_ids
    assert cut.tokens == whole.tokens[:7]


def test_a_limit_does_not_cut_through_a_character(byte_view):
    cut = byte_view.tokenize("😀😀", limit=3)
    assert [token.text for token in cut.tokens] == [END, "😀₁", "😀₂", "😀₃", "😀₄"]
    assert cut.split_characters == (SplitCharacter(1, 5, "😀"),)


def test_kinds_tell_added_from_typed_special_tokens(byte_view):
    cut = byte_view.tokenize(f"cat{END}")
    kinds = {token.kind for token in cut.tokens[1:-1]}
    assert (cut.tokens[0].kind, kinds, cut.tokens[-1].kind) == ("added", {"text"}, "special")
    assert cut.tokens[0].token_id == cut.tokens[-1].token_id
    assert cut.n_added == 1
    assert cut.decoded == f"cat{END}"


def test_unknown_words_are_marked_and_have_no_bytes():
    backend = Tokenizer(WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]"))
    cut = view.tokenize("cat dog")
    assert [(token.kind, token.utf8) for token in cut.tokens] == [
        ("text", b"cat"),
        ("unknown", b""),
    ]
    assert [word.text for word in cut.words] == ["cat"]
    assert (view.algorithm, view.n_merges, view.merge_of(1)) == ("WordLevel", 0, None)


def test_characters_per_token_leaves_added_tokens_out(byte_view):
    cut = byte_view.tokenize("😀")
    assert len(cut.token_ids) == 5
    assert cut.characters_per_token == 1 / 4
    assert byte_view.tokenize("").characters_per_token == 0


@pytest.mark.parametrize("character", ["é", "e\u0301", "東", "😀", FAMILY, "👍🏽", "\r\n"])
def test_pieces_of_one_character_belong_together(character):
    text = f"a{character}b"
    pieces = [bytes([byte]) for byte in text.encode()]
    n_bytes = len(character.encode())
    found = split_characters(pieces, [True] * len(pieces))
    assert found == (SplitCharacter(1, 1 + n_bytes, character),)


def test_a_token_with_parts_of_two_characters_joins_them():
    pieces = [b" \xc3", b"\xa9\xc3", b"\xa9!"]
    assert split_characters(pieces, [True] * 3) == (SplitCharacter(0, 3, "éé"),)


def test_no_character_reaches_across_a_special_token():
    pieces = [b"\xc3", b"", b"\xa9", b"e", "\u0301".encode()]
    found = split_characters(pieces, [True, False, True, True, True])
    assert found == (SplitCharacter(3, 5, "e\u0301"),)


def test_search_finds_the_same_text_first(sentencepiece_view):
    texts = [sentencepiece_view.readable(i) for i in sentencepiece_view.search("t")]
    assert texts == ["t", "t", " t", "T", " the", "at", " cat"]  # twice: a letter and a byte


def test_search_by_number_finds_the_token_id_first(byte_view):
    assert byte_view.search("17")[0] == 17
    assert byte_view.search("999999") == []
    assert byte_view.search("") == []


def test_search_ignores_case_but_prefers_it():
    vocab = {piece: i for i, piece in enumerate(["the", "The", "THE", "other", "x"])}
    backend = Tokenizer(WordLevel(vocab))
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert view.search("The") == [1, 0, 2, 3]


def test_special_tokens_have_roles_and_say_whether_they_are_added(byte_view, sentencepiece_view):
    (end,) = byte_view.special_tokens()
    assert (end.token_id, end.text, end.added) == (0, END, True)
    assert end.roles == ("bos_token", "eos_token")
    assert not any(token.added for token in sentencepiece_view.special_tokens())


@pytest.mark.parametrize("split", [False, True])
def test_what_a_special_token_becomes_when_typed_was_tried(byte_level, split):
    tokenizer = copy.deepcopy(byte_level)
    tokenizer.split_special_tokens = split
    (end,) = TokenizerView(tokenizer).special_tokens()
    assert end.typed_ids == tuple(tokenizer.encode(END, add_special_tokens=False))
    assert end.can_be_typed is not split
    assert (len(end.typed_ids) > 1) is split


def test_chat_template_writes_the_text_as_a_turn(sentencepiece_view):
    text = sentencepiece_view.chat_text("the cat")
    assert text == "<s>user: the cat<s>assistant:"
    cut = sentencepiece_view.tokenize(text, add_special_tokens=False)
    assert [token.kind for token in cut.tokens].count("special") == 2


def test_no_chat_template_and_a_failing_one_are_said(byte_view):
    assert byte_view.chat_template is None
    with pytest.raises(PromptError, match="no chat template"):
        byte_view.chat_text("hi")
    broken = byte_tokenizer()
    broken.chat_template = "{{ raise_exception('only system turns') }}"
    with pytest.raises(PromptError, match="could not be filled in"):
        TokenizerView(broken).chat_text("hi")


def test_wordpiece_and_unigram_have_no_merges():
    pieces = Tokenizer(WordPiece({"[UNK]": 0, "un": 1, "##happy": 2}, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="[UNK]"))
    cut = view.tokenize("unhappy")
    assert [word.spelling for word in cut.words] == ["unhappy"]
    assert view.cut("unhappy") == (1, 2)
    assert view.merge_of(2) is None
    scored = Tokenizer(Unigram([("<unk>", 0.0), ("a", -1.5), ("b", -2.0)], 0, False))
    view = TokenizerView(PreTrainedTokenizerFast(tokenizer_object=scored, unk_token="<unk>"))
    assert [view.score(token_id) for token_id in view.cut("ab")] == [-1.5, -2.0]


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=20))
def test_single_bytes_are_their_own_ids(text):
    ids = TokenizerView(byte_tokenizer()).tokenize(text).token_ids
    assert bytes(ids) == clean_text(text).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["play", "playing so", "so  pl", "is.", "sing\n"])
def test_bytes_and_words_are_the_texts_own_whatever_the_decoder(kind, text):
    view = TokenizerView(KINDS[kind]())
    cut = view.tokenize(text)
    if cut.decoded == text:
        assert b"".join(token.utf8 for token in cut.tokens) == text.encode()
    for index, word in enumerate(cut.words):
        part = [token for token in cut.tokens if cut.word_of[token.pos] == index]
        ids = [token.token_id for token in part]
        n_times = len(ids) // len(view.cut(word.spelling))
        assert ids == [*view.cut(word.spelling)] * n_times
        assert b"".join(token.utf8 for token in part).decode() == word.text * n_times


@pytest.mark.parametrize("kind", ["metaspace", "replace_fuse_strip", "byte_fallback"])
def test_words_begin_at_their_spaces_where_the_text_is_one_word_for_the_tokenizer(kind):
    cut = TokenizerView(KINDS[kind]()).tokenize("play play pl")
    assert [word.text for word in cut.words] == ["play", " play", " pl"]


def test_a_name_that_was_typed_is_no_unknown_text(byte_level):
    byte_level = copy.deepcopy(byte_level)
    byte_level.unk_token = END  # as the family of GPT-2 has it
    cut = TokenizerView(byte_level).tokenize(f"a{END} b")
    assert [token.kind for token in cut.tokens] == ["added", "text", "special", "text", "text"]
    at_signs = TokenizerView(KINDS["at_signs"]())
    assert [token.kind for token in at_signs.tokenize("日").tokens] == ["unknown"]
    assert [token.kind for token in at_signs.tokenize("<unk>").tokens] == ["special"]


def test_an_end_that_was_typed_is_not_taken_for_added():
    with pytest.warns(UserWarning, match="already has </s>"):
        cut = TokenizerView(KINDS["byt5"]()).tokenize("a</s>")
    assert len(cut.tokens) == len(cut.token_ids)
    assert cut.n_added <= 1


@pytest.mark.parametrize(
    ("text", "decoded", "lost"),
    [
        ("abcA", "A", ((0, 3),)),
        ("a b", "a b", ()),
        ("a *b*", "a b", ((2, 3), (4, 5))),
        ("x y", "", ((0, 1), (2, 3))),
        ("Caf\u00e9", "cafe", ()),
    ],
)
def test_what_is_left_out_is_told_from_what_is_changed(text, decoded, lost):
    assert left_out(text, decoded) == lost


def test_tokens_are_found_by_what_they_add_to_a_text():
    view = TokenizerView(KINDS["word_piece"]())
    assert [view.piece(token_id) for token_id in view.search("ing")][:1] == ["##ing"]
    assert view.search("##") == []
    suffixed = TokenizerView(KINDS["end_of_word"]())
    assert suffixed.search("</w>") == []
    assert [suffixed.piece(token_id) for token_id in suffixed.search("ay")] == ["ay</w>"]
