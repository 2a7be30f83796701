"""Small tokenizers of every kind of decoder, built by hand: their spellings are known."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from sentencepiece import SentencePieceTrainer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    ByT5Tokenizer,
    CTRLTokenizer,
    GPTSw3Tokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

LETTERS = "playingso"
SENTENCEPIECE = ["<unk>", "<s>", "▁", *LETTERS, ".", "'", "é", "ing", "▁p", "pl", "▁pl", "ay"]
MERGES = [("▁", "p"), ("p", "l"), ("▁p", "l"), ("a", "y")]


def fast(backend: Tokenizer, **options) -> PreTrainedTokenizerFast:
    """Wrap a tokenizer as transformers does."""
    return PreTrainedTokenizerFast(tokenizer_object=backend, **options)


def _bpe(pieces: list[str], merges: list[tuple[str, str]], **options) -> Tokenizer:
    return Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, **options))


def byte_level() -> PreTrainedTokenizerFast:
    """Single bytes, one merge, and an added token with a space in it."""
    pieces = [*bytes_to_unicode().values(), "Ġp"]
    backend = _bpe(pieces, [("Ġ", "p")])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens([AddedToken("  ", normalized=False)])
    return fast(backend, eos_token="<|endoftext|>")


def metaspace() -> PreTrainedTokenizerFast:
    """Llama 2 as transformers 5 loads it: the text is one word, with a space put first."""
    backend = _bpe(SENTENCEPIECE, MERGES, unk_token="<unk>")
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    return fast(backend, unk_token="<unk>", bos_token="<s>")


def replace_fuse_strip() -> PreTrainedTokenizerFast:
    """Llama 2 as it was: a sequence of decoders that takes the first space away again."""
    backend = _bpe(SENTENCEPIECE, MERGES, unk_token="<unk>")
    put_first = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    backend.normalizer = normalizers.Sequence(put_first)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return fast(backend, unk_token="<unk>", bos_token="<s>")


def byte_fallback() -> PreTrainedTokenizerFast:
    """The same, with a token for each byte of what the vocabulary lacks."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *SENTENCEPIECE[2:]]
    backend = _bpe(pieces, MERGES, unk_token="<unk>", byte_fallback=True)
    put_first = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    backend.normalizer = normalizers.Sequence(put_first)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return fast(backend, unk_token="<unk>")


def added_spaces() -> PreTrainedTokenizerFast:
    """Gemma: runs of spaces are tokens that were added to the vocabulary."""
    backend = _bpe(SENTENCEPIECE, MERGES, unk_token="<unk>")
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    backend.add_tokens([AddedToken("▁" * n, normalized=True) for n in (4, 2)])
    return fast(backend, unk_token="<unk>")


def word_piece(clean_up: bool = False) -> PreTrainedTokenizerFast:
    """BERT: `##` begins a piece inside a word."""
    pieces = ["[UNK]", "play", "##ing", ".", "'", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(cleanup=not clean_up)
    return fast(backend, unk_token="[UNK]", clean_up_tokenization_spaces=clean_up)


def cleaned_up() -> PreTrainedTokenizerFast:
    """BERT as saved by transformers 4: spaces around signs go once the text is whole."""
    return word_piece(clean_up=True)


def end_of_word() -> PreTrainedTokenizerFast:
    """GPT-1: `</w>` ends the last piece of a word."""
    pieces = ["<unk>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS + "."), "pl", "ay</w>"]
    backend = _bpe(
        pieces, [("p", "l"), ("a", "y</w>")], unk_token="<unk>", end_of_word_suffix="</w>"
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    return fast(backend, unk_token="<unk>")


def at_signs() -> PreTrainedTokenizerBase:
    """CTRL, written in Python: `@@` ends a piece that the word goes on after."""
    pieces = ["<unk>", *LETTERS, *(f"{letter}@@" for letter in LETTERS), "pl@@", "ay"]
    with TemporaryDirectory() as folder:
        vocab, merges = Path(folder, "v.json"), Path(folder, "m.txt")
        vocab.write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
        merges.write_text("#version\np l\na y</w>\n\n")
        return CTRLTokenizer(str(vocab), str(merges))


def byt5() -> PreTrainedTokenizerBase:
    """ByT5, written in Python: every byte is a token, spelled as a character of Latin-1."""
    return ByT5Tokenizer(extra_ids=0)


def byte_level_with_added() -> PreTrainedTokenizerFast:
    """RoBERTa: a space put first; added tokens that are text, letters of the byte alphabet too."""
    backend = _bpe([*bytes_to_unicode().values(), "Ġp"], [("Ġ", "p")])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    added = ["日", "é so", "Ġ", "\n\n", "👧"]
    backend.add_tokens([AddedToken(one, normalized=False) for one in added])
    backend.add_special_tokens(["<s>"])
    return fast(backend, bos_token="<s>")


def unigram_first() -> PreTrainedTokenizerFast:
    """XGLM: Unigram with bytes for the rest, and a space put before the first word only."""
    bytes_ = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    pieces = [(piece, -1.0) for piece in SENTENCEPIECE[2:]]
    backend = Tokenizer(models.Unigram([("<unk>", 0.0), *bytes_, *pieces], 0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]
    )
    return fast(backend, unk_token="<unk>")


def metaspace_never() -> PreTrainedTokenizerFast:
    """SigLIP 2: no space is put first, and a decoder of three parts."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *SENTENCEPIECE[2:]]
    backend = _bpe(pieces, MERGES, unk_token="<unk>", byte_fallback=True)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    steps = [decoders.Metaspace(prepend_scheme="never"), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(steps)
    return fast(backend, unk_token="<unk>")


def continued() -> PreTrainedTokenizerFast:
    """BPE whose pieces inside a word begin with `##`."""
    pieces = ["[UNK]", *LETTERS, *(f"##{letter}" for letter in LETTERS), "pl", "##ay"]
    backend = _bpe(
        pieces,
        [("p", "##l"), ("##a", "##y")],
        unk_token="[UNK]",
        continuing_subword_prefix="##",
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.WordPiece(cleanup=False)
    return fast(backend, unk_token="[UNK]")


def sentencepiece() -> PreTrainedTokenizerBase:
    """GPT-SW3, written in Python around SentencePiece, with bytes for the rest."""
    made, texts = BytesIO(), ["play so playing", "so is an é", "pl ay ing so so"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 3),
        model_writer=made,
        vocab_size=280,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with TemporaryDirectory() as folder:
        file = Path(folder, "spiece.model")
        file.write_bytes(made.getvalue())
        return GPTSw3Tokenizer(str(file), name_or_path="gpt-sw3")


KINDS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    make.__name__: make
    for make in (
        byte_level,
        metaspace,
        replace_fuse_strip,
        byte_fallback,
        added_spaces,
        word_piece,
        cleaned_up,
        end_of_word,
        at_signs,
        byt5,
        byte_level_with_added,
        unigram_first,
        metaspace_never,
        continued,
        sentencepiece,
    )
}

STEPS: dict[str, Callable[[], decoders.Decoder]] = {
    "replace": lambda: decoders.Replace("▁", " "),
    "replace by pattern": lambda: decoders.Replace(Regex("▁+"), "_"),
    "replace text": lambda: decoders.Replace("a", "bb"),
    "fuse": decoders.Fuse,
    "strip left": lambda: decoders.Strip(" ", 1, 0),
    "strip right": lambda: decoders.Strip(" ", 0, 1),
    "strip text": lambda: decoders.Strip("a", 2, 0),
    "bytes": decoders.ByteFallback,
    "metaspace": decoders.Metaspace,
    "metaspace first": lambda: decoders.Metaspace(prepend_scheme="first"),
    "metaspace never": lambda: decoders.Metaspace(prepend_scheme="never"),
    "byte level": decoders.ByteLevel,
    "word piece": decoders.WordPiece,
    "word piece as it is": lambda: decoders.WordPiece(cleanup=False),
    "end of word": decoders.BPEDecoder,
    "CTC": decoders.CTC,
}
"""What a decoder can be put together of."""
ODD_PIECES = [
    *("a", "b", "ab", "▁", "▁a", "▁▁", "##b", "b</w>", "</w>", "a@@", "Ġ", "Ġa", "Ċ", "æ"),
    *("<0x41>", "<0xE6>", "<0x97>", "<0xA5>", "é", "Ã", "©", " ", "\n", ".", "'s", "n't"),
    *("日", "<pad>", "|"),
]
"""Spellings that some decoder or other reads in a way of its own."""


def of_steps(steps: Sequence[str], clean_up: bool) -> PreTrainedTokenizerFast:
    """Put a decoder together, for a vocabulary that holds something for each of its parts."""
    words = {piece: i for i, piece in enumerate(ODD_PIECES)}
    backend = Tokenizer(models.WordLevel(words, unk_token="a"))
    backend.decoder = decoders.Sequence([STEPS[step]() for step in steps])
    backend.add_tokens([AddedToken("  ", normalized=False), AddedToken("▁▁▁", normalized=True)])
    backend.add_special_tokens(["<s>"])
    return fast(backend, clean_up_tokenization_spaces=clean_up)
