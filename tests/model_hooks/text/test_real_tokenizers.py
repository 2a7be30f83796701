# ruff: noqa: RUF001 (letters of other scripts look like Latin ones)
"""Known models' own tokenizers: what is said of tokens is what their decoders and algorithms do."""

import random

import pytest

from model_hooks.opening.installed import SMOLLM2, installed_models
from model_hooks.opening.tokenizer import gguf_tokenizer, open_tokenizer
from model_hooks.text.pieces import Pieces
from model_hooks.text.tokenization import TokenizerView
from tests.real_tokenizers import HERE, SOURCES, available

TEXTS = {
    "Latin": "The naïve café of Zürich, Łódź and Þórshöfn isn’t far — “really”?",
    "Greek": "Ο σοφός δεν λέει όσα ξέρει, Ἀθῆναι.",
    "Cyrillic": "Все счастливые семьи похожи друг на друга; Їжак.",
    "Arabic": "السَّلامُ عَلَيْكُمْ، كيف حالك اليوم؟ ١٢٣",
    "Hebrew": "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "Devanagari": "क्षत्रिय सूर्य नमस्कार है। १२३",
    "Bengali": "আমার সোনার বাংলা, আমি তোমায় ভালোবাসি।",
    "Tamil": "யாதும் ஊரே யாவரும் கேளிர்",
    "Thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "Hangul": "나는 학교에 갑니다. 값싸다",
    "Kana and Kanji": "吾輩は猫である。名前はまだ無い。カタカナ",
    "Han": "道可道，非常道。名可名，非常名。𠮷野家",
    "Georgian": "ვეფხისტყაოსანი",
    "Ethiopic": "ሰላም ለዓለም።",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇺🇦 1️⃣ ❤️‍🔥 x",
    "code": "def f(x):\n\treturn {k: v for k in x if k != '\\n'}  # a\n\n\n    a&&b <<= 2;\r\n",
    "control characters": "a\x00b\x01\x07c\x1b[31m\x7f\x85\u2028\u200b\ufeffz\xad",
    "spaces": "  two  spaces   three\u00a0nbsp\u3000wide\t\ttabs \n \n end  ",
    "markers": "▁a ##b c@@ d</w> <0x41> Ġ <s> <|endoftext|> [CLS] <unk>",
    "combining": "e\u0301 \u1e9b\u0323 Z\u0351\u036b\u0343 ﬁ ½ Å",
    "both directions": "abc אבג 123 \u202eabc\u202c",
    "a space": " ",
    "nothing": "",
}
LOSSLESS = ("gpt2", "llama3", "deepseek_v3")
"""Whose decoders give any text back."""
N_RANDOM = 200
"""Texts of tokens drawn by chance."""
N_ALONE = 300
"""Tokens that are asked about one by one."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what transformers says of their settings
]


def needs(name):
    """Skip what is asked of a tokenizer that could not be had."""
    return pytest.mark.skipif(name not in available(), reason="python -m tests.real_tokenizers")


SMOLLM2_IS_HERE = SMOLLM2.name in installed_models()


def opened(name):
    if name == SMOLLM2.name:
        return TokenizerView(gguf_tokenizer(name, installed_models()[name]))
    return TokenizerView(open_tokenizer(name, HERE / name))


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(name, marks=needs(name)) for name in SOURCES),
        pytest.param(
            SMOLLM2.name,
            marks=[pytest.mark.real, pytest.mark.skipif(not SMOLLM2_IS_HERE, reason="see README")],
        ),
    ],
)
def view(request):
    return opened(request.param)


def own_ids(view, text):
    return view.tokenizer(text, add_special_tokens=False)["input_ids"]


@needs("gpt2")
@needs("bert")
def test_gpt2_and_bert_cut_as_they_are_known_to():
    gpt2, bert = opened("gpt2"), opened("bert")
    assert own_ids(gpt2, "Hello world") == [15496, 995]  # as in OpenAI's published example
    assert own_ids(bert, "hello world") == [7592, 2088]
    assert bert.tokenize("embeddings").token_ids[1:-1] == (7861, 8270, 4667, 2015)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_pieces_are_the_decoders_text_and_the_texts_bytes(view, text):
    ids = own_ids(view, text)
    whole = view.tokenizer.decode(ids, skip_special_tokens=False)
    joined = b"".join(view.text.pieces.of_text(ids))
    if "\ufffd" not in whole:
        assert joined.decode() == whole
    if whole == text:
        assert joined == text.encode()
        tokens = view.tokenize(text).tokens
        own = [t.utf8 if t.kind == "text" else t.text.encode() for t in tokens if t.kind != "added"]
        assert b"".join(own) == text.encode()


@pytest.mark.parametrize("name", LOSSLESS)
def test_tokenizers_of_bytes_lose_nothing(name):
    view = opened(name)
    for text in TEXTS.values():
        assert b"".join(view.text.pieces.of_text(own_ids(view, text))) == text.encode()
        assert view.tokenize(text).lost == ()


def test_tokens_drawn_by_chance_are_shared_out_as_the_decoder_writes_them(view):
    draw = random.Random(0)
    for _ in range(N_RANDOM):
        ids = [draw.randrange(len(view.tokenizer)) for _ in range(draw.randrange(12))]
        whole = view.tokenizer.decode(ids, skip_special_tokens=False)
        if "\ufffd" not in whole:
            assert b"".join(view.text.pieces.of_text(ids)).decode("utf-8", "ignore") == whole


def test_many_tokens_at_once_read_as_one_by_one(view):
    draw = random.Random(1)
    ids = sorted(draw.sample(range(len(view.tokenizer)), N_ALONE))
    alone = Pieces(view.tokenizer)
    assert view.text.pieces.each(ids) == tuple(alone.each([i])[0] for i in ids)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_word_becomes_the_tokens_that_it_is_shown_with(view, text):
    told = view.tokenize(text)
    for number, word in enumerate(told.words):
        ids = tuple(i for i, of in zip(told.token_ids, told.word_of, strict=True) if of == number)
        cut = view.cut(word.spelling)
        assert cut
        assert ids[: len(cut)] == cut  # a word that comes up again is there again
        if view.algorithm == "BPE" and not view.looks_up_whole_words:
            assert view.merge_steps(word.spelling)[-1].token_ids == cut
