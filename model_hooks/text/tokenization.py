"""What a tokenizer does with a text: its tokens, the merges that made them, its vocabulary.

Knows tokenizers only; no model is needed for any of this.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, Literal

import regex
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks.errors import PromptError
from model_hooks.text.tokens import TokenText, clean_text

SPACE = "▁"
"""How SentencePiece vocabularies write a space."""
LONGEST_CHARACTER = 32
"""Tokens that are looked at beyond a limit, to finish a character that begins before it."""

Kind = Literal["text", "added", "special", "unknown"]


@dataclass(frozen=True)
class Token:
    """One token of a text.

    Attributes:
        pos: Its position, from 0.
        token_id: Its number in the vocabulary.
        piece: How the vocabulary spells it, such as `Ġlittle`.
        text: What it reads like; pieces of one character are numbered (`é₁`).
        utf8: The bytes of text it stands for; they may begin or end inside a character. None for
            other kinds than `text`.
        kind: `added` by the tokenizer, a `special` token found in the text, `unknown` (the text
            is lost), or plain `text`.
        span: The characters of the text it comes from; None if the tokenizer does not say.
    """

    pos: int
    token_id: int
    piece: str
    text: str
    utf8: bytes
    kind: Kind
    span: tuple[int, int] | None


@dataclass(frozen=True)
class Word:
    """A stretch of text that was cut into tokens on its own; mostly a word and its space.

    Attributes:
        text: How it reads.
        spelling: How the vocabulary would spell it, such as `Ġlittle`.
    """

    text: str
    spelling: str


@dataclass(frozen=True)
class SplitCharacter:
    """A character (as people see it) that no single token holds.

    Attributes:
        first: Position of its first token.
        stop: Position after its last token.
        text: The character, or several where one token holds parts of two.
    """

    first: int
    stop: int
    text: str


@dataclass(frozen=True)
class Tokenization:
    """A text as tokens.

    Attributes:
        text: The text.
        token_ids: All its token IDs.
        tokens: The first tokens, up to the limit that was asked for.
        split_characters: Characters that are spread over several of these tokens.
        words: The words of these tokens, each once, in order; without those that the vocabulary
            cannot spell.
        word_of: Per token, the index of its word; None if it belongs to none.
        n_added: Tokens that the tokenizer added.
        decoded: The text that the token IDs give back.
    """

    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    split_characters: tuple[SplitCharacter, ...]
    words: tuple[Word, ...]
    word_of: tuple[int | None, ...]
    n_added: int
    decoded: str

    @property
    def characters_per_token(self) -> float:
        """Return Unicode code points per token, without added tokens; 0 if there are none."""
        n_tokens = len(self.token_ids) - self.n_added
        return len(self.text) / n_tokens if n_tokens else 0.0


@dataclass(frozen=True)
class Merge:
    """Two neighbouring pieces that become one. Rank 0 was learned first and is applied first."""

    rank: int
    left: str
    right: str


@dataclass(frozen=True)
class MergeStep:
    """A word after one merge.

    Attributes:
        token_ids: Its pieces now.
        made: The index of the piece that this merge made; None before the first.
        merge: The merge; None before the first.
    """

    token_ids: tuple[int, ...]
    made: int | None = None
    merge: Merge | None = None


@dataclass(frozen=True)
class SpecialToken:
    """A token that stands for no text, such as the beginning of a document.

    Attributes:
        token_id: Its number in the vocabulary.
        text: How it is written.
        roles: What the tokenizer calls it, such as `bos_token`; often nothing.
        added: Whether the tokenizer adds it to every text.
    """

    token_id: int
    text: str
    roles: tuple[str, ...]
    added: bool


class TokenizerView:
    """Looks into one tokenizer; changes nothing in it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._text = TokenText(tokenizer)
        self._utf8 = cache(self._text.bytes_of)
        self._unknown_id = tokenizer.unk_token_id
        self._backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)

    @property
    def algorithm(self) -> str:
        """`BPE`, `Unigram`, `WordPiece` or `WordLevel`; otherwise the tokenizer's class."""
        if self._backend is None:
            return type(self.tokenizer).__name__
        return type(self._backend.model).__name__

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, special ones included."""
        return len(self.tokenizer)

    @property
    def n_merges(self) -> int:
        """How many merges BPE learned; 0 for other algorithms."""
        return len(self._merges)

    @property
    def is_byte_level(self) -> bool:
        """Whether merging begins with single bytes; otherwise with characters."""
        return self._backend is not None and "ByteLevel" in repr(self._backend.decoder)

    @property
    def chat_template(self) -> str | None:
        """The template that writes a conversation (Jinja); None if there is none."""
        template = getattr(self.tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default") or next(iter(template.values()), None)
        return template or None

    @property
    def looks_up_whole_words(self) -> bool:
        """Whether BPE takes a word that is in the vocabulary as it is, without merging."""
        return bool(self._settings.get("ignore_merges"))

    def tokenize(
        self, text: str, *, limit: int | None = None, add_special_tokens: bool = True
    ) -> Tokenization:
        """Cut a text into tokens.

        Args:
            text: Any text; lone surrogates become U+FFFD, as for the model.
            limit: Describe only the first tokens (all IDs are returned). A character that begins
                before the limit is finished.
            add_special_tokens: Add what the tokenizer adds by default.
        """
        encoded = self.tokenizer(
            clean_text(text),
            add_special_tokens=add_special_tokens,
            return_special_tokens_mask=True,
            verbose=False,
        )
        ids = tuple(int(token_id) for token_id in encoded["input_ids"])
        added = [bool(flag) for flag in encoded["special_tokens_mask"]]
        fast = encoded.encodings[0] if encoded.encodings else None
        spans = None if fast is None else fast.offsets  # each access makes a new list
        shown = ids if limit is None else ids[: limit + LONGEST_CHARACTER]
        utf8 = [self.utf8(token_id) for token_id in shown]
        kinds: list[Kind] = [
            self._kind(token_id, flag) for token_id, flag in zip(shown, added, strict=False)
        ]
        split = split_characters(utf8, [kind == "text" for kind in kinds])
        n_shown = len(shown) if limit is None else min(limit, len(shown))
        n_shown = next((c.stop for c in split if c.first < n_shown < c.stop), n_shown)
        tokens = tuple(
            Token(
                pos=pos,
                token_id=shown[pos],
                piece=self.piece(shown[pos]),
                text=string,
                utf8=utf8[pos] if kinds[pos] == "text" else b"",
                kind=kinds[pos],
                span=None if spans is None or kinds[pos] == "added" else spans[pos],
            )
            for pos, string in enumerate(self._text.strings(shown)[:n_shown])
        )
        words, word_of = self._words(tokens, None if fast is None else fast.word_ids)
        n_added = sum(added)
        inner = [token_id for token_id, flag in zip(ids, added, strict=True) if not flag]
        return Tokenization(
            text=text,
            token_ids=ids,
            tokens=tokens,
            split_characters=tuple(c for c in split if c.stop <= n_shown),
            words=words,
            word_of=word_of,
            n_added=n_added,
            decoded=self.tokenizer.decode(inner, skip_special_tokens=False),
        )

    def utf8(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self._utf8(token_id)

    def piece(self, token_id: int) -> str:
        """Return how the vocabulary spells a token; nothing for an ID without a token."""
        piece = self.tokenizer.convert_ids_to_tokens(token_id)
        if piece is None:
            return ""
        return piece.decode("utf-8", "replace") if isinstance(piece, bytes) else piece

    def readable(self, token_id: int) -> str:
        """Return what one token reads like on its own; parts of characters as `⟨F0⟩`."""
        return self._text.strings([token_id])[0]

    def merge_of(self, token_id: int) -> Merge | None:
        """Return the merge that makes a token; None where none does (a byte, a special token)."""
        pair = self._pair_of.get(self.piece(token_id))
        return None if pair is None else Merge(self._merges[pair], *pair)

    def score(self, token_id: int) -> float | None:
        """Return a Unigram token's natural log-probability; None for other algorithms."""
        if self.algorithm != "Unigram":
            return None
        return float(self._settings["vocab"][token_id][1])

    def cut(self, spelling: str) -> tuple[int, ...]:
        """Return the token IDs that the tokenizer's own algorithm makes of a word.

        Args:
            spelling: A `Word.spelling`.
        """
        return tuple(token.id for token in self._backend.model.tokenize(spelling))

    def merge_steps(self, spelling: str) -> tuple[MergeStep, ...]:
        """Merge a word as byte-pair encoding does, one merge at a time.

        Of all neighbouring pairs, the one with the lowest rank becomes one piece; the leftmost of
        equals (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909). The work grows with the
        square of the word's length.

        Args:
            spelling: A `Word.spelling`, or a part of one.
        """
        ids = self.smallest_pieces(spelling)
        steps = [MergeStep(tuple(ids))]
        prefix = self._settings.get("continuing_subword_prefix") or ""
        while True:
            pieces = [self.piece(token_id) for token_id in ids]
            ranks = [self._merges.get(pair) for pair in pairwise(pieces)]
            known = [(rank, at) for at, rank in enumerate(ranks) if rank is not None]
            if not known:
                return tuple(steps)
            rank, at = min(known)
            left, right = pieces[at], pieces[at + 1]
            ids[at : at + 2] = [self._vocab[left + right.removeprefix(prefix)]]
            steps.append(MergeStep(tuple(ids), at, Merge(rank, left, right)))

    def smallest_pieces(self, spelling: str) -> list[int]:
        """Return the IDs that merging a word begins with: bytes, characters, or unknown ones."""
        prefix = self._settings.get("continuing_subword_prefix") or ""
        suffix = self._settings.get("end_of_word_suffix") or ""
        unknown = self._settings.get("unk_token")
        ids: list[int] = []
        for i, character in enumerate(spelling):
            piece = (prefix if i else "") + character + (suffix if i == len(spelling) - 1 else "")
            fallback = [f"<0x{byte:02X}>" for byte in piece.encode()]
            if piece in self._vocab:
                ids.append(self._vocab[piece])
            elif self._settings.get("byte_fallback") and all(b in self._vocab for b in fallback):
                ids.extend(self._vocab[byte] for byte in fallback)
            elif unknown is not None:
                lost = self._vocab[unknown]
                if not (self._settings.get("fuse_unk") and ids and ids[-1] == lost):
                    ids.append(lost)
        return ids

    def search(self, query: str) -> list[int]:
        """Return the IDs of tokens whose text contains a query, upper and lower case alike.

        The best come first: the same text, then the same but for spaces around it, then for
        upper and lower case, then texts that begin with it; each from short to long. A query
        that is a token ID finds that token first.
        """
        if not query:
            return []
        folded, bare = query.casefold(), query.strip()
        found = [i for i, text in self._texts.items() if folded in text.casefold()]

        def order(token_id: int) -> tuple[bool | int, ...]:
            text = self._texts[token_id]
            inner = text.strip()
            low = inner.casefold()
            same = text != query, inner != bare, low != bare.casefold()
            return *same, not low.startswith(bare.casefold()), len(text), token_id

        found.sort(key=order)
        if query.strip().isdecimal() and (token_id := int(query)) in self._texts:
            found = [token_id, *(i for i in found if i != token_id)]
        return found

    def special_tokens(self) -> tuple[SpecialToken, ...]:
        """Return the special tokens, by ID."""
        roles: dict[str, list[str]] = {}
        for role, text in self.tokenizer.special_tokens_map.items():
            if isinstance(text, str):
                roles.setdefault(text, []).append(role)
        added = {t.token_id for t in self.tokenize("a").tokens if t.kind == "added"}
        return tuple(
            SpecialToken(token_id, text, tuple(roles.get(text, ())), token_id in added)
            for token_id in sorted(self._special)
            for text in [self.piece(token_id)]
        )

    def chat_text(self, text: str) -> str:
        """Write a text as the user's turn of a conversation, as the chat template does.

        Raises:
            PromptError: There is no template, or it fails.
        """
        if self.chat_template is None:
            raise PromptError("This tokenizer has no chat template.")
        try:
            return self.tokenizer.apply_chat_template(
                [{"role": "user", "content": clean_text(text)}],
                chat_template=self.chat_template,
                tokenize=False,
                add_generation_prompt=True,
            )
        except Exception as error:  # whatever a template from the Hub does
            raise PromptError(
                "This tokenizer's chat template could not be filled in with one turn of a user."
            ) from error

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The `model` part of tokenizer.json."""
        return {} if self._backend is None else json.loads(self._backend.to_str())["model"]

    @cached_property
    def _merges(self) -> dict[tuple[str, str], int]:
        pairs = self._settings.get("merges", ()) if self.algorithm == "BPE" else ()
        split = (pair.split(" ") if isinstance(pair, str) else pair for pair in pairs)
        return {(left, right): rank for rank, (left, right) in enumerate(split)}

    @cached_property
    def _pair_of(self) -> dict[str, tuple[str, str]]:
        prefix = self._settings.get("continuing_subword_prefix") or ""
        pairs: dict[str, tuple[str, str]] = {}
        for left, right in self._merges:
            pairs.setdefault(left + right.removeprefix(prefix), (left, right))
        return pairs

    @cached_property
    def _vocab(self) -> dict[str, int]:
        return self.tokenizer.get_vocab()

    @cached_property
    def _texts(self) -> dict[int, str]:
        ids = sorted(self._vocab.values())
        return {i: self._text.bytes_of(i).decode("utf-8", "surrogateescape") for i in ids}

    @cached_property
    def _special(self) -> frozenset[int]:
        added = self.tokenizer.added_tokens_decoder
        flagged = {token_id for token_id, token in added.items() if token.special}
        return frozenset(flagged | set(self.tokenizer.all_special_ids))

    def _kind(self, token_id: int, added: bool) -> Kind:
        if added:
            return "added"
        if token_id == self._unknown_id:
            return "unknown"
        return "special" if token_id in self._special else "text"

    def _words(
        self, tokens: Sequence[Token], word_ids: Sequence[int | None] | None
    ) -> tuple[tuple[Word, ...], tuple[int | None, ...]]:
        """Join tokens that were cut from one word, and spell the word as the vocabulary does."""
        if word_ids is None:
            return (), (None,) * len(tokens)
        whole_text = self._backend.pre_tokenizer is None  # SentencePiece: ▁ begins a word
        runs: list[list[Token]] = []
        before = None
        for token, word in zip(tokens, word_ids, strict=False):
            begins = word != before or (whole_text and token.piece.startswith(SPACE))
            if token.kind in ("added", "special"):
                before = None
                continue
            if begins or not runs:
                runs.append([])
            runs[-1].append(token)
            before = word
        index: dict[Word, int] = {}
        word_of: list[int | None] = [None] * len(tokens)
        for run in runs:
            if spelling := self._spelling(run):
                text = b"".join(token.utf8 for token in run).decode("utf-8", "replace")
                for token in run:
                    word_of[token.pos] = index.setdefault(Word(text, spelling), len(index))
        return tuple(index), tuple(word_of)

    def _spelling(self, run: Sequence[Token]) -> str:
        if any(token.kind == "unknown" for token in run):
            return ""
        if self._settings.get("byte_fallback"):
            spelling = b"".join(token.utf8 for token in run).decode("utf-8", "ignore")
            return spelling.replace(" ", SPACE)
        prefix = self._settings.get("continuing_subword_prefix") or ""
        pieces = [run[0].piece, *(token.piece.removeprefix(prefix) for token in run[1:])]
        return "".join(pieces).removesuffix(self._settings.get("end_of_word_suffix") or "")


def split_characters(
    pieces: Sequence[bytes], is_text: Sequence[bool]
) -> tuple[SplitCharacter, ...]:
    """Find characters that are spread over several tokens.

    A character is what people see as one: an extended grapheme cluster (Unicode Standard Annex
    29), such as an emoji with its skin tone or a letter with its accent.

    Args:
        pieces: The bytes of each token.
        is_text: Which tokens hold text; no character reaches across one that does not.
    """
    found: list[SplitCharacter] = []
    at = 0
    while at < len(pieces):
        stop = at
        while stop < len(pieces) and is_text[stop]:
            stop += 1
        owners = [pos for pos in range(at, stop) for _ in pieces[pos]]
        text = b"".join(pieces[at:stop]).decode("utf-8", "surrogateescape")
        byte = 0
        for character in regex.findall(r"\X", text):
            n_bytes = len(character.encode("utf-8", "surrogateescape"))
            first, last = owners[byte], owners[byte + n_bytes - 1]
            byte += n_bytes
            if first == last:
                continue
            if found and found[-1].stop > first:
                before = found.pop()
                first, character = before.first, before.text + character
            found.append(SplitCharacter(first, last + 1, character))
        at = stop + 1
    return tuple(found)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer that BPE begins with: one token per byte, whose ID is the byte."""
    backend = Tokenizer(BPE({char: byte for byte, char in bytes_to_unicode().items()}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)
