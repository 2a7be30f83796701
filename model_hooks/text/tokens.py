"""What does each token ID stand for, for people, also where a character is cut in two?"""

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from model_hooks.errors import PromptError
from model_hooks.text.pieces import Pieces, plain_ids

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def clean_text(text: Any) -> str:
    """Return text that every tokenizer accepts: lone surrogates become U+FFFD.

    Raises:
        PromptError: It is no text.
    """
    if not isinstance(text, str):
        raise PromptError(f"{reprlib.repr(text)} is no text.")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class TokenText:
    """Turns token IDs of one tokenizer into bytes and readable strings."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.pieces = Pieces(tokenizer)

    def bytes_of(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes a token ID stands for in the middle of a text.

        They may end inside a character.
        """
        return self.pieces.each(plain_ids([token_id]))[0]

    def each(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return what each token reads like in the middle of a text; none as neighbours."""
        ids = plain_ids(ids)
        pairs = zip(ids, self.pieces.each(ids), strict=True)
        return tuple(self._shown([token_id], [piece])[0] for token_id, piece in pairs)

    def inside(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one readable string per token of a part of a text, with text around it."""
        ids = plain_ids(ids)
        return self._shown(ids, self.pieces.inside(ids))

    def strings(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one readable string per token of a text that consists of these.

        See `readable`; an ID without a token appears as its number, `⟨4100⟩`.
        """
        ids = plain_ids(ids)
        return self._shown(ids, self.pieces.of_text(ids))

    def _shown(self, ids: Sequence[int], pieces: Sequence[bytes]) -> tuple[str, ...]:
        pairs = zip(ids, readable(pieces), strict=True)
        return tuple(
            f"⟨{token_id}⟩" if self.pieces.spelling(token_id) is None else text
            for token_id, text in pairs
        )


def readable(pieces: Sequence[bytes]) -> tuple[str, ...]:
    """Return one readable string per token of a text.

    A character that is split over several tokens appears in each of them with the number of the
    piece as a subscript (`é₁`, `é₂`); bytes that never become a character appear as `⟨F0⟩`.

    Args:
        pieces: The bytes that each token adds to the text.
    """
    strings = [""] * len(pieces)
    # Each byte with the token it came from: characters are decoded across token borders.
    stream = [(byte, owner) for owner, piece in enumerate(pieces) for byte in piece]
    at = 0
    while at < len(stream):
        length = _character_length(stream, at)
        if length == 0:
            byte, owner = stream[at]
            strings[owner] += f"⟨{byte:02X}⟩"
            at += 1
            continue
        char = bytes(byte for byte, _ in stream[at : at + length]).decode()
        owners = sorted({owner for _, owner in stream[at : at + length]})
        for number, owner in enumerate(owners, 1):
            part = str(number).translate(_SUBSCRIPTS) if len(owners) > 1 else ""
            strings[owner] += char + part
        at += length
    return tuple(strings)


def _character_length(stream: list[tuple[int, int]], at: int) -> int:
    """Bytes of the UTF-8 character that starts at `at`; 0 if there is none."""
    for length in range(1, min(4, len(stream) - at) + 1):
        try:
            bytes(byte for byte, _ in stream[at : at + length]).decode()
        except UnicodeDecodeError:
            continue
        return length
    return 0
