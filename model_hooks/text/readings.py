"""Which tokens does a word become that stands inside a longer text?

Alone, it would be the beginning of a text: many tokenizers put a space before that, and mark the
end of a word.
"""

from itertools import accumulate, product

from transformers import PreTrainedTokenizerBase

from model_hooks.text.encoding import ids_of
from model_hooks.text.pieces import Pieces
from model_hooks.text.tokens import clean_text

BEFORE = ("a", "p", "1", ".", "(", "-", '"', "\n")
"""What may stand right before a word: no merge joins all of these with it."""
AFTER = ("", "a", "1")
"""What may stand right after it, the end of the text first."""


def ids_inside(tokenizer: PreTrainedTokenizerBase, pieces: Pieces, word: str) -> tuple[int, ...]:
    """Return the token IDs that spell a text exactly where it stands inside another.

    Of several ways, the one with the fewest tokens; where nothing spells it, as in a vocabulary
    that lacks it, the IDs of the text alone.

    Args:
        tokenizer: The tokenizer.
        pieces: What its tokens add to a text.
        word: A word, or any text.
    """
    word = clean_text(word)
    if not word:
        return ()
    best: tuple[int, ...] = ()
    for after, before in product(AFTER, BEFORE):
        ids = _encode(tokenizer, before + word + after)
        found = _that_spell(word.encode(), after.encode(), ids, pieces)
        if found and (not best or len(found) < len(best)):
            best = found
        if len(best) == 1:
            break
    return best or _encode(tokenizer, word)


def _that_spell(word: bytes, after: bytes, ids: tuple[int, ...], pieces: Pieces) -> tuple[int, ...]:
    """The tokens of a word before the end of a text; nothing if it does not begin or end there."""
    added = pieces.of_text(ids)
    text, ends = b"".join(added), [0, *accumulate(map(len, added))]
    stop = len(text) - len(after)
    start = stop - len(word)
    if not text.endswith(word + after) or start not in ends or stop not in ends:
        return ()
    first = len(ends) - 1 - ends[::-1].index(start)  # tokens that add nothing are not part of it
    return ids[first : ends.index(stop)]


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(ids_of(tokenizer, text, add_special_tokens=False))
