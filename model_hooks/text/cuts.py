"""What is a text as tokens: each token, the words, and the characters that no token holds whole?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

from model_hooks.text.vocabulary import Kind


@dataclass(frozen=True)
class Token:
    """One token of a text.

    Attributes:
        pos: Its position, from 0.
        token_id: Its number in the vocabulary.
        piece: How the vocabulary spells it, such as `Ġlittle`.
        text: What it adds to the text, by the tokenizer's decoder; pieces of one character are
            numbered (`é₁`).
        utf8: The bytes of that; they may begin or end inside a character. None for other kinds
            than `text`.
        kind: `added` by the tokenizer, a `special` token found in the text, `unknown` (the text
            is lost), or plain `text`.
        span: The characters of the text it comes from; None if the tokenizer does not say, or
            leaves some out.
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
        lost: Stretches of the text, spaces aside, that no token stands for; see `left_out`.
    """

    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    split_characters: tuple[SplitCharacter, ...]
    words: tuple[Word, ...]
    word_of: tuple[int | None, ...]
    n_added: int
    decoded: str
    lost: tuple[tuple[int, int], ...] = ()

    @property
    def characters_per_token(self) -> float:
        """Return Unicode code points per token, without added tokens; 0 if there are none."""
        n_tokens = len(self.token_ids) - self.n_added
        return len(self.text) / n_tokens if n_tokens else 0.0


def left_out(text: str, decoded: str) -> tuple[tuple[int, int], ...]:
    """Return the stretches of a text that are missing in another, spaces aside.

    Nothing if the other one is not the text with some of it left out: then it was changed.
    """
    rest = [character for character in reversed(decoded) if not character.isspace()]
    is_left_out = []
    for character in text:
        is_there = bool(rest) and rest[-1] == character
        if is_there:
            rest.pop()
        is_left_out.append(not is_there and not character.isspace())
    if rest:
        return ()
    edges = pairwise([False, *is_left_out, False])
    changes = [at for at, (before, after) in enumerate(edges) if before != after]
    return tuple(zip(changes[::2], changes[1::2], strict=True))


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
    for first, last, text in _spread_characters(pieces, is_text):
        if found and found[-1].stop > first:
            before = found.pop()
            first, text = before.first, before.text + text
        found.append(SplitCharacter(first, last + 1, text))
    return tuple(found)


def _spread_characters(
    pieces: Sequence[bytes], is_text: Sequence[bool]
) -> Iterator[tuple[int, int, str]]:
    """Yield the first and the last token of each character that has several, and its text."""
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
            if first != last:
                yield first, last, character
        at = stop + 1
