"""What does each token add to a text, by the tokenizer's own decoder, in its place?

A vocabulary's spelling is no text: markers (`##`, `</w>`, `@@`, `▁`) stand for spaces or for none,
depending on the neighbours. So the decoder is asked. What a spelling seems to say is only a guess
that saves questions, and counts where the decoder's text of the whole agrees.
"""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import chain, groupby, zip_longest
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks.arrays import as_whole
from model_hooks.errors import PromptError
from model_hooks.opening.reasons import panics_are_errors

SPACE = "▁"
"""How SentencePiece vocabularies write a space."""
N_NEIGHBOURS = 5000
"""Tokens among which an ordinary one is looked for, to stand beside others."""
N_COMPARED = 24
"""Ordinary tokens that are compared."""
AT_ONCE = 512
"""Tokens of a vocabulary that are asked about together."""
PARTS = 8
"""Into how many parts some tokens are divided that the spellings do not explain."""
_LATIN_1 = str.maketrans({char: chr(byte) for byte, char in bytes_to_unicode().items()})
_ALPHABET = frozenset(bytes_to_unicode().values())
_LOST = "\ufffd"


def plain_ids(ids: Any) -> list[int]:
    """Return token IDs as Python's own numbers.

    Raises:
        PromptError: These are none, or one is no whole number.
    """
    given = ids.tolist() if isinstance(ids, np.ndarray) else ids
    plain = [as_whole(one) for one in given] if isinstance(given, Iterable) else [None]
    found = [one for one in plain if one is not None]
    if len(found) < len(plain):
        raise PromptError(f"{reprlib.repr(ids)} are no token IDs: IDs are whole numbers.")
    return found


class Pieces:
    """The text of one tokenizer's tokens, as bytes; changes nothing in it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer: Any = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        # Without a decoder, a space is put between any two tokens: it belongs to none of them.
        self._has_decoder = backend is None or backend.decoder is not None
        self._is_slow = backend is None
        self._backend: Any = backend
        self._inside: dict[int, bytes] = {}
        self.spelling: Callable[[int], str | bytes | None] = lru_cache(2**18)(self._spelling)
        self._short: Callable[[tuple[int, ...]], str] = lru_cache(2**16)(self._decode)

    def of_text(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return the bytes that each token adds to a text that consists of these tokens.

        Joined, they are the text that the decoder makes of all of them; where that has lost bytes
        that form no character, they still have them. An ID without a token adds nothing.
        """
        known = [i for i, token_id in enumerate(ids) if self.spelling(token_id) is not None]
        found = [b""] * len(ids)
        for i, piece in zip(known, self._added([ids[i] for i in known]), strict=True):
            found[i] = piece
        return tuple(found)

    def inside(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return the bytes that each token adds to these, were they in the middle of a text."""
        anchor = self._anchor
        return self.of_text([*anchor, *ids, *anchor])[len(anchor) : len(anchor) + len(ids)]

    def each(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return the bytes that each token adds on its own, in the middle of a text.

        Special tokens stand for no text: theirs are those of their names.
        """
        new = [i for i in dict.fromkeys(ids) if i not in self._inside]
        for at in range(0, len(new), AT_ONCE):
            some = new[at : at + AT_ONCE]
            self._inside.update(zip(some, self._each(some), strict=True))
        return tuple(self._inside[i] for i in ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token IDs, special tokens included; of IDs without a token, none."""
        return self._ask([i for i in plain_ids(ids) if self.spelling(i) is not None])

    def decode_after(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """Return what token IDs add to the text of those before them."""
        whole = self.decode([*plain_ids(before), *plain_ids(ids)])
        return whole[_same(self.decode(before), whole) :]

    def _spelling(self, token_id: int) -> str | bytes | None:
        """How the vocabulary spells a token; None for an ID without one."""
        if self._is_slow and self._ids is not None and token_id not in self._ids:
            return None
        try:
            if not self._is_slow:
                return self._backend.id_to_token(token_id)
            spelling = self._tokenizer.convert_ids_to_tokens(int(token_id))
            self._tokenizer.decode([int(token_id)])
        except Exception:  # each tokenizer in Python has its own way to say that there is none
            return None
        return spelling

    @cached_property
    def _ids(self) -> frozenset[int] | None:
        """The IDs of a tokenizer in Python: some give any other ID the name of a token."""
        try:
            return frozenset(self._tokenizer.get_vocab().values()) if self._is_slow else None
        except NotImplementedError:
            return None

    def spelled(self, token_id: int) -> bytes:
        """Return how the vocabulary spells a token, in UTF-8; of a single byte, the byte."""
        named = self._byte_spelled(token_id)
        return _as_bytes(self.spelling(token_id)) if named is None else named

    def _decode(self, ids: Sequence[int]) -> str:
        if not self._has_decoder:
            return "".join(str(self.spelling(token_id)) for token_id in ids)
        return self._ask(list(ids))

    def _ask(self, ids: list[int]) -> str:
        """The decoder's text; what the spellings seem to say where the decoder breaks down."""
        try:
            with panics_are_errors():
                return str(self._tokenizer.decode(ids, skip_special_tokens=False))
        except Exception:  # whatever code and settings from elsewhere do
            return b"".join(map(self._guess, ids)).decode("utf-8", "replace")

    def _says(self, spellings: list[str]) -> str | None:
        """What the decoder makes of some spellings; None where it refuses them."""
        if not self._has_decoder:
            return "".join(spellings)
        try:
            with panics_are_errors():
                return self._tokenizer.convert_tokens_to_string(spellings)
        except Exception:  # whatever a tokenizer in Python does with what it does not know
            return None

    @cached_property
    def _bytes_written(self) -> str:
        """How single bytes are spelled: the byte-level alphabet, `<0x41>`, Latin-1, or not."""
        if self._says(["Ġ"]) == " ":
            return "alphabet"
        if self._says(["Ã", "©"]) == "é":
            return "latin-1"
        return "numbers" if self._says(["<0x41>"]) == "A" else ""

    @cached_property
    def special(self) -> frozenset[int]:
        """The tokens that stand for no text."""
        added = self._tokenizer.added_tokens_decoder
        flagged = {token_id for token_id, token in added.items() if token.special}
        return frozenset(flagged | set(self._tokenizer.all_special_ids))

    def _byte_spelled(self, token_id: int) -> bytes | None:
        """The bytes that a spelling names one by one; None where it is written as text."""
        spelling = self.spelling(token_id)
        return self._named(spelling) if isinstance(spelling, str) else spelling

    def _named(self, spelling: str) -> bytes | None:
        """The same of a spelling, or a part of one."""
        way = self._bytes_written
        if way == "alphabet":  # as the decoder does: a character beyond the alphabet ends it
            known = _ALPHABET.issuperset(spelling)
            return spelling.translate(_LATIN_1).encode("latin-1") if known else spelling.encode()
        if way == "numbers" and len(spelling) == 6 and spelling.startswith("<0x"):
            return bytes([int(spelling[3:5], 16)])
        if way == "latin-1" and len(spelling) == 1 and ord(spelling) < 256:
            return spelling.encode("latin-1")
        return None

    def _guess(self, token_id: int) -> bytes:
        """What a spelling seems to say."""
        if (named := self._byte_spelled(token_id)) is not None:
            return named
        spelling = str(self.spelling(token_id))
        return (spelling.replace(SPACE, " ") if self._has_decoder else spelling).encode()

    def _added(self, ids: Sequence[int]) -> list[bytes]:
        """What each token adds; every ID has a token."""
        whole = self._decode(tuple(ids))
        guessed = self._guessed(ids, whole)
        return self._walk(ids, whole) if guessed is None else guessed

    def _guessed(self, ids: Sequence[int], whole: str) -> list[bytes] | None:
        """What the spellings seem to say, if the decoder's text of all of them says the same."""
        for guesses in self._guesses(ids):
            for text in self._renderings(ids, guesses):
                if text == whole:
                    return guesses
                if text[:1] == " " and text[1:] == whole:  # the space that SentencePiece puts first
                    first = next(i for i, piece in enumerate(guesses) if piece)
                    guesses[first] = guesses[first][1:]
                    return guesses
        return None

    def _guesses(self, ids: Sequence[int]) -> Iterator[list[bytes]]:
        """What spellings seem to say, alone and as parts of words."""
        yield self._as_alphabet(ids) or [self._guess(token_id) for token_id in ids]
        if any(self._marks):
            yield self._in_words(ids)

    def _as_alphabet(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes that spellings name, at once for many; none unless all are of the alphabet."""
        if self._bytes_written != "alphabet":
            return []
        found = (self.spelling(token_id) for token_id in ids)
        spellings = [spelling for spelling in found if isinstance(spelling, str)]
        if len(spellings) < len(ids) or not _ALPHABET.issuperset("".join(spellings)):
            return []
        return [spelling.translate(_LATIN_1).encode("latin-1") for spelling in spellings]

    @cached_property
    def _marks(self) -> tuple[str, str]:
        """What begins a piece inside a word and what ends the last one, as `##` and `</w>`."""
        model = getattr(self._backend, "model", None)
        names = ("continuing_subword_prefix", "end_of_word_suffix")
        prefix, suffix = (getattr(model, name, None) or "" for name in names)
        return prefix, suffix

    def _in_words(self, ids: Sequence[int]) -> list[bytes]:
        """What spellings seem to say where marks tell the words, with a space between any two."""
        prefix, suffix = self._marks
        pieces: list[bytes] = []
        ended = False
        for token_id in ids:
            spelling = str(self.spelling(token_id))
            goes_on = spelling.startswith(prefix) if prefix else not ended
            ended = spelling.endswith(suffix)
            body = spelling.removesuffix(suffix).removeprefix(prefix if goes_on else "")
            named = self._named(body)
            space = b"" if goes_on or not pieces else b" "
            pieces.append(space + (body.encode() if named is None else named))
        return pieces

    def _renderings(self, ids: Sequence[int], pieces: Sequence[bytes]) -> Iterator[str]:
        """How a decoder may write bytes that form no character: as one sign, as none, as many."""
        joined = b"".join(pieces)
        text = joined.decode("utf-8", "replace")
        yield text
        if _LOST not in text:
            return
        yield joined.decode("utf-8", "ignore")
        parts = []
        pairs = zip(ids, pieces, strict=True)
        for is_byte, some in groupby(pairs, lambda pair: self._byte_spelled(pair[0]) is not None):
            run = [piece for _, piece in some]
            try:
                parts.append(b"".join(run).decode())
            except UnicodeDecodeError:
                parts.append(
                    _LOST * len(run) if is_byte else b"".join(run).decode("utf-8", "replace")
                )
        yield "".join(parts)

    def _walk(self, ids: Sequence[int], whole: str) -> list[bytes]:
        """Go through the text token by token, asking the decoder about each and its neighbours."""
        pieces: list[bytes] = []
        at = 0
        while (i := len(pieces)) < len(ids):
            if (named := self._named_run(ids, i, whole, at)) is not None:
                run, at = named
                pieces.extend(run)
                continue
            added = self._beside(*ids[max(0, i - 1) : i], of=ids[i], after=ids[i + 1 : i + 2])
            if whole.startswith(added, at):
                end = at + len(added)
            else:  # neighbours further away matter: ask about all that is before
                end = self._end(whole, self._decode(tuple(ids[: i + 1])), at, ids[i])
            end = len(whole) if i == len(ids) - 1 else end
            pieces.append(whole[at:end].encode())
            at = end
        return pieces

    def _named_run(
        self, ids: Sequence[int], i: int, whole: str, at: int
    ) -> tuple[list[bytes], int] | None:
        """The bytes of the next tokens that are single bytes, and where the text goes on."""
        run: list[bytes] = []
        while i + len(run) < len(ids):
            named = self._byte_spelled(ids[i + len(run)])
            if named is None:
                break
            run.append(named)
        for text in self._renderings(ids[i : i + len(run)], run) if run else ():
            if text and whole.startswith(text, at):
                return run, at + len(text)
        return None

    def _beside(self, *before: int, of: int, after: Sequence[int]) -> str:
        """What one token adds between its neighbours."""
        whole = self._short((*before, of, *after))
        at = _same(self._short(before), whole) if before else 0
        return whole[at : self._end(whole, self._short((*before, of)), at, of)]

    def _end(self, whole: str, so_far: str, at: int, token_id: int) -> int:
        """Where in a text a token ends that begins at `at`: as far as nothing later changes it."""
        end = max(at, _same(so_far, whole))
        own = self._short((token_id,)).strip()
        if end == at and own and whole.startswith(own, at):
            end += len(own)
        return end

    def _each(self, ids: Sequence[int]) -> list[bytes]:
        """What some tokens add, each in the middle of a text."""
        known, special = {i: self.spelling(i) for i in ids}, self.special
        asked = [i for i, spelling in known.items() if spelling is not None and i not in special]
        pieces = self._inside_each(asked)
        found = dict(zip(asked, pieces, strict=True))
        return [found[i] if i in found else _as_bytes(known[i]) for i in ids]

    def _inside_each(self, ids: Sequence[int]) -> list[bytes]:
        """What some tokens of text add: as spelled, or where that is not so, one by one."""
        beside = self._anchor if any(self._marks) else ()  # else neighbours are all alike
        texts = [*self._anchor, *chain.from_iterable((i, *beside) for i in ids)]
        guessed = self._guessed(texts, self._decode(texts))
        if guessed is not None:
            return guessed[len(self._anchor) :: 1 + len(beside)]
        if len(ids) <= 1:
            return list(self.inside(ids))
        size = -(-len(ids) // PARTS)
        parts = (ids[at : at + size] for at in range(0, len(ids), size))
        return [piece for part in parts for piece in self._inside_each(part)]

    @cached_property
    def _anchor(self) -> tuple[int, ...]:
        """An ordinary token that glues as few spaces as possible to its neighbours; or none."""
        some = range(min(len(self._tokenizer), N_NEIGHBOURS))
        ordinary = (i for i in some if i not in self.special)
        letters, n_short = [], 0
        for i in filter(self._is_letter, ordinary):
            letters.append(i)
            n_short += len(self._short((i,))) == 1
            if n_short == N_COMPARED:  # none is shorter
                break
        compared = sorted(letters, key=lambda i: (len(self._short((i,))), i))[:N_COMPARED]

        def spaces(token_id: int) -> int:
            return sum(self._short((token_id, other, token_id)).count(" ") for other in compared)

        return (min(compared, key=spaces),) if compared else ()

    def _is_letter(self, token_id: int) -> bool:
        """Whether a token is text with a plain letter or digit first, and no single byte."""
        if self.spelling(token_id) is None:
            return False
        if self._bytes_written == "numbers" and self._byte_spelled(token_id) is not None:
            return False
        first = self._short((token_id,))[:1]
        return first.isascii() and first.isalnum()


def _same(a: str, b: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return (
        len(a)
        if b.startswith(a)
        else next(i for i, (one, other) in enumerate(zip_longest(a, b)) if one != other)
    )


def _as_bytes(spelling: str | bytes | None) -> bytes:
    return spelling.encode() if isinstance(spelling, str) else spelling or b""
