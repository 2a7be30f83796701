"""Which token of one text stands where which token of another one does?"""

import re
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, pairwise, zip_longest
from typing import NamedTuple

EXACT_UP_TO = 2_000
"""Longer sequences are matched by what is not too frequent in them: the exact way takes minutes."""
_WORDS = re.compile(rb"\s*\S+|\s+")


class Place(NamedTuple):
    """A place of two texts, in the order of both."""

    a: int | None
    """The position in the first text; None where it has nothing."""
    b: int | None
    """The position in the second one."""
    equal: bool
    """Whether the same token stands there in both."""


Places = tuple[Place, ...]


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Places:
    """Align the tokens of two texts that one tokenizer cut.

    What is equal comes to stand in one place. Between two such places, tokens are paired in order;
    where one text has more of them, the other one has gaps.
    """
    places: list[Place] = []
    for is_equal, of_a, of_b in _stretches(a, b):
        pairs = zip_longest(of_a, of_b)
        places += [Place(in_a, in_b, is_equal) for in_a, in_b in pairs]
    return tuple(places)


def align_by_characters(a: Sequence[bytes], b: Sequence[bytes]) -> Places:
    """Align the tokens of two texts that two tokenizers cut.

    Two tokens share a place where the same character of the text ends both: all that was read up to
    there is the same. Between two such places, tokens are paired in order.

    Args:
        a: The bytes that each token adds to the first text.
        b: The same of the second one.
    """
    places: list[Place] = []
    ends = [(-1, -1), *_common_ends(a, b), (len(a), len(b))]
    for (a_before, b_before), (in_a, in_b) in pairwise(ends):
        between = zip_longest(range(a_before + 1, in_a), range(b_before + 1, in_b))
        places += [Place(one, other, False) for one, other in between]
        if in_a < len(a):
            places.append(Place(in_a, in_b, a[in_a] == b[in_b]))
    return tuple(places)


def partner_of(places: Places, in_b: int) -> int | None:
    """Return where in the first text a position of the second one is; None where it has a gap."""
    return next((place.a for place in places if place.b == in_b), None)


def both(places: Places) -> tuple[tuple[int, int], ...]:
    """Return the positions of places where both texts have a token."""
    return tuple((one.a, one.b) for one in places if one.a is not None and one.b is not None)


def _stretches(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[bool, range, range]]:
    """Cut two sequences into stretches that are equal, and those that are not."""
    most = min(len(a), len(b))
    before = next((i for i in range(most) if a[i] != b[i]), most)
    rest = most - before
    after = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    middle = a[before : len(a) - after], b[before : len(b) - after]
    yield True, range(before), range(before)
    matcher = SequenceMatcher(None, *middle, autojunk=max(map(len, middle)) > EXACT_UP_TO)
    for tag, a_start, a_stop, b_start, b_stop in matcher.get_opcodes():
        of_a, of_b = (
            range(before + a_start, before + a_stop),
            range(before + b_start, before + b_stop),
        )
        yield tag == "equal", of_a, of_b
    yield True, range(len(a) - after, len(a)), range(len(b) - after, len(b))


def _common_ends(a: Sequence[bytes], b: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the positions of tokens that the same character of the text ends."""
    ends_of_a = {end: pos for pos, end in enumerate(accumulate(map(len, a)))}
    ends_of_b = {end: pos for pos, end in enumerate(accumulate(map(len, b)))}
    words_of_a, words_of_b = (_WORDS.findall(b"".join(text)) for text in (a, b))
    a_starts, b_starts = ([0, *accumulate(map(len, words))] for words in (words_of_a, words_of_b))
    found = []
    for is_equal, of_a, of_b in _stretches(words_of_a, words_of_b):
        if is_equal:
            shift = b_starts[of_b.start] - a_starts[of_a.start]
            for end in range(a_starts[of_a.start] + 1, a_starts[of_a.stop] + 1):
                if end in ends_of_a and end + shift in ends_of_b:
                    found.append((ends_of_a[end], ends_of_b[end + shift]))
    return found
