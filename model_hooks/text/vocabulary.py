"""Which tokens does a tokenizer know, what does each stand for, and how did it come to be?

Knows tokenizers only; no model is needed for any of this.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from model_hooks.errors import PromptError
from model_hooks.text.encoding import encoded, ids_of
from model_hooks.text.pieces import plain_ids
from model_hooks.text.tokens import TokenText, clean_text

Kind = Literal["text", "added", "special", "unknown"]


@dataclass(frozen=True)
class Merge:
    """Two neighbouring pieces that become one. Rank 0 was learned first and is applied first."""

    rank: int
    left: str
    right: str


@dataclass(frozen=True)
class SpecialToken:
    """A token that stands for no text, such as the beginning of a document.

    Attributes:
        token_id: Its number in the vocabulary.
        text: How it is written.
        roles: What the tokenizer calls it, such as `bos_token`; often nothing.
        added: Whether the tokenizer adds it to every text.
        typed_ids: The tokens that its text becomes when somebody types it, as tried.
    """

    token_id: int
    text: str
    roles: tuple[str, ...]
    added: bool
    typed_ids: tuple[int, ...]

    @property
    def can_be_typed(self) -> bool:
        """Whether its text becomes this one token, and nothing else."""
        return self.typed_ids == (self.token_id,)


class Vocabulary:
    """The tokens of one tokenizer; changes nothing in it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer: Any = tokenizer
        self.text = TokenText(tokenizer)
        self.backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)

    @property
    def algorithm(self) -> str:
        """`BPE`, `Unigram`, `WordPiece` or `WordLevel`; otherwise the tokenizer's class."""
        if self.backend is None:
            return type(self.tokenizer).__name__
        return type(self.backend.model).__name__

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, special ones included."""
        return len(self.tokenizer)

    @property
    def n_merges(self) -> int:
        """How many merges BPE learned; 0 for other algorithms."""
        return len(self.merges)

    @property
    def is_byte_level(self) -> bool:
        """Whether merging begins with single bytes; otherwise with characters."""
        return self.backend is not None and "ByteLevel" in repr(self.backend.decoder)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The `model` part of tokenizer.json."""
        return {} if self.backend is None else json.loads(self.backend.to_str())["model"]

    @property
    def prefix(self) -> str:
        """What pieces inside a word begin with, such as `##`."""
        return self.settings.get("continuing_subword_prefix") or ""

    @property
    def suffix(self) -> str:
        """What the last piece of a word ends with, such as `</w>`."""
        return self.settings.get("end_of_word_suffix") or ""

    @cached_property
    def ids(self) -> dict[str, int]:
        """Every token ID by how the vocabulary spells the token."""
        return self.tokenizer.get_vocab()

    @cached_property
    def merges(self) -> dict[tuple[str, str], int]:
        """The rank of each pair of pieces that BPE learned to join."""
        pairs = self.settings.get("merges", ()) if self.algorithm == "BPE" else ()
        split = (pair.split(" ") if isinstance(pair, str) else pair for pair in pairs)
        return {(left, right): rank for rank, (left, right) in enumerate(split)}

    def utf8(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for in the middle of a text."""
        return self.text.bytes_of(token_id)

    def piece(self, token_id: int) -> str:
        """Return how the vocabulary spells a token; nothing for an ID without a token."""
        piece = self.text.pieces.spelling(*plain_ids([token_id]))
        if piece is None:
            return ""
        return piece.decode("utf-8", "replace") if isinstance(piece, bytes) else piece

    def readable(self, token_id: int) -> str:
        """Return what one token reads like inside a text; parts of characters as `⟨F0⟩`."""
        return self.text.each([token_id])[0]

    def joined(self, left: str, right: str) -> str:
        """Return how the vocabulary spells two pieces that became one."""
        return left + right.removeprefix(self.prefix)

    def merge_of(self, token_id: int) -> Merge | None:
        """Return the merge that makes a token; None where none does (a byte, a special token)."""
        pair = self._pair_of.get(self.piece(token_id))
        return None if pair is None else Merge(self.merges[pair], *pair)

    def score(self, token_id: int) -> float | None:
        """Return a Unigram token's natural log-probability; None where there is none."""
        if self.algorithm != "Unigram":
            return None
        (token_id,) = plain_ids([token_id])
        known = self.settings["vocab"]
        return float(known[token_id][1]) if 0 <= token_id < len(known) else None

    def kind(self, token_id: int, added: bool) -> Kind:
        """Return what kind of token this is in a text."""
        if added:
            return "added"
        if token_id == self.tokenizer.unk_token_id:
            return "unknown"
        return "special" if token_id in self._special else "text"

    def special_tokens(self) -> tuple[SpecialToken, ...]:
        """Return the special tokens, by ID."""
        roles: dict[str, list[str]] = {}
        for role, text in self.tokenizer.special_tokens_map.items():
            if isinstance(text, str):
                roles.setdefault(text, []).append(role)
        added = self._added()
        texts = {token_id: self.piece(token_id) for token_id in sorted(self._special)}
        return tuple(
            SpecialToken(
                token_id, text, tuple(roles.get(text, ())), token_id in added, self._typed(text)
            )
            for token_id, text in texts.items()
        )

    def _added(self) -> set[int]:
        """What the tokenizer adds to a text; one that it fails on adds nothing."""
        for text in ("a", ""):
            with suppress(PromptError):
                said = encoded(self.tokenizer, text, return_special_tokens_mask=True)
                flags = zip(said["input_ids"], said["special_tokens_mask"], strict=True)
                return {token_id for token_id, flag in flags if flag}
        return set()

    def _typed(self, text: str) -> tuple[int, ...]:
        """What a text becomes, without what the tokenizer adds to every text."""
        try:
            return tuple(ids_of(self.tokenizer, text, add_special_tokens=False))
        except PromptError:
            return ()

    def search(self, query: str) -> list[int]:
        """Return the IDs of tokens whose text contains a query, upper and lower case alike.

        The best come first: the same text, then the same but for spaces around it, then for
        upper and lower case, then texts that begin with it; each from short to long. A query
        that is a token ID finds that token first.
        """
        query = clean_text(query)
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

    @cached_property
    def _pair_of(self) -> dict[str, tuple[str, str]]:
        pairs: dict[str, tuple[str, str]] = {}
        for left, right in self.merges:
            pairs.setdefault(self.joined(left, right), (left, right))
        return pairs

    @cached_property
    def _texts(self) -> dict[int, str]:
        ids = sorted(self.ids.values())
        pairs = zip(ids, self.text.pieces.each(ids), strict=True)
        return {token_id: piece.decode("utf-8", "surrogateescape") for token_id, piece in pairs}

    @property
    def _special(self) -> frozenset[int]:
        return self.text.pieces.special
