"""How does byte-pair encoding merge a word, piece by piece?"""

from dataclasses import dataclass
from itertools import pairwise

from model_hooks.errors import PromptError
from model_hooks.text.tokens import clean_text
from model_hooks.text.vocabulary import Merge, Vocabulary

MOST_PIECES = 2000
"""That are merged step by step: steps and their pieces grow with the square of the length."""


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


def merge_steps(vocabulary: Vocabulary, spelling: str) -> tuple[MergeStep, ...]:
    """Merge a word as byte-pair encoding does, one merge at a time.

    Of all neighbouring pairs, the one with the lowest rank becomes one piece; the leftmost of
    equals (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909). The work grows with the
    square of the word's length.

    Args:
        vocabulary: Of a BPE tokenizer.
        spelling: A `Word.spelling`, or a part of one.

    Raises:
        PromptError: The word is too long for that.
    """
    ids = smallest_pieces(vocabulary, spelling)
    if len(ids) > MOST_PIECES:
        raise PromptError(
            f"A word of {len(ids):,} pieces is too long to be merged step by step: at most "
            f"{MOST_PIECES:,} are."
        )
    steps = [MergeStep(tuple(ids))]
    while True:
        pieces = [vocabulary.piece(token_id) for token_id in ids]
        ranks = [vocabulary.merges.get(pair) for pair in pairwise(pieces)]
        known = [(rank, at) for at, rank in enumerate(ranks) if rank is not None]
        if not known:
            return tuple(steps)
        rank, at = min(known)
        left, right = pieces[at], pieces[at + 1]
        ids[at : at + 2] = [vocabulary.ids[vocabulary.joined(left, right)]]
        steps.append(MergeStep(tuple(ids), at, Merge(rank, left, right)))


def smallest_pieces(vocabulary: Vocabulary, spelling: str) -> list[int]:
    """Return the IDs that merging a word begins with: bytes, characters, or unknown ones."""
    known, settings, spelling = vocabulary.ids, vocabulary.settings, clean_text(spelling)
    unknown = settings.get("unk_token")
    ids: list[int] = []
    for i, character in enumerate(spelling):
        begins, ends = i == 0, i == len(spelling) - 1
        prefix = "" if begins else vocabulary.prefix
        piece = prefix + character + (vocabulary.suffix if ends else "")
        fallback = [f"<0x{byte:02X}>" for byte in piece.encode()]
        if piece in known:
            ids.append(known[piece])
        elif settings.get("byte_fallback") and all(byte in known for byte in fallback):
            ids.extend(known[byte] for byte in fallback)
        elif unknown is not None:
            lost = known[unknown]
            if not (settings.get("fuse_unk") and ids and ids[-1] == lost):
                ids.append(lost)
    return ids
