"""What does each token ID stand for, for people, also where a character is cut in two?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

_BYTE_OF = {char: byte for byte, char in bytes_to_unicode().items()}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def clean_text(text: str) -> str:
    """Return text that every tokenizer accepts: lone surrogates become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class TokenText:
    """Turns token IDs of one tokenizer into bytes and readable strings."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._verbatim = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
        decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
        self._byte_level = "ByteLevel" in repr(decoder)

    def bytes_of(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes a token ID stands for; they may end inside a character."""
        token_id = int(token_id)
        piece: Any = self._tokenizer.convert_ids_to_tokens(token_id)
        if piece is None:  # the LM head may have more rows than the tokenizer has tokens
            return b""
        if isinstance(piece, bytes):
            return piece
        if token_id in self._verbatim:
            return piece.encode()
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):  # byte fallback
            return bytes([int(piece[3:5], 16)])
        if self._byte_level:
            return b"".join(
                bytes([_BYTE_OF[char]]) if char in _BYTE_OF else char.encode() for char in piece
            )
        if "▁" in piece:
            return piece.replace("▁", " ").encode()
        return piece.encode()

    def strings(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one readable string per token ID.

        A character that is split over several tokens appears in each of them with the number of
        the piece as a subscript (`é₁`, `é₂`); bytes that never become a character appear as
        `⟨F0⟩`, an ID without a token as `⟨4100⟩`.
        """
        pieces = [self.bytes_of(token_id) for token_id in ids]
        strings = [
            "" if piece else f"⟨{int(token_id)}⟩"
            for piece, token_id in zip(pieces, ids, strict=True)
        ]
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
