"""Why this token, in words: what hiding each earlier word showed, and where the answer was read."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from viz.numbers import counted, percent, signed, three_digits

POINTS_THAT_COUNT = 0.1
"""A smaller change of a probability counts as none, unless it is half of a small probability."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

READ_HELP = (
    "What every head adds to the last vector is a sum over the tokens that it reads: attention "
    "weight times value times output projection. Shown is how much of each token's part points "
    "towards the answer (its direct contribution to the logit), over all layers and heads. It "
    "tells where the answer was read, not what would happen without that token."
)
CAVEATS = (
    "**What hiding does.** In every layer and head, no later token can read the word; the softmax "
    "spreads its weight over the others. The word still reads itself, and all keep their "
    "positions. A change below 10 points counts as none.\n\n"
    "**A token is also a relay.** Later tokens gather what earlier ones say. What is hidden is the "
    "place of a word and all that was gathered there, not its meaning alone.\n\n"
    "**Drops do not add up.** Two copies of a word cover for each other, and a fact may need two "
    "words at once.\n\n"
    "**A drop is not a reason.** It is what this model does on this text with one thing taken away."
)
FIRST_WORD = (
    "The first word, {word}, is not hidden: this model has no token that opens every text, so its "
    "heads rest on the first word, and hiding it would break more than its meaning."
)
LAST_TOKEN = "The last token, {word}, cannot be hidden: it is the one that asks."
OTHER_LAYERS = (
    "Layers without attention still read a hidden word: only attention can be kept from it."
)


class Without(NamedTuple):
    """What became of the answer without one word; names are as the page writes them."""

    name: str
    place: int
    """The word's first position."""
    before: float
    """The answer's probability in the whole text."""
    after: float
    leads: str | None
    """What is most probable then; None where that is the answer."""

    @property
    def fall(self) -> float:
        """By how much the probability falls."""
        return self.before - self.after

    @property
    def counts(self) -> bool:
        """Whether that is more than nothing."""
        return self.fall >= min(POINTS_THAT_COUNT, self.before / 2) > 0

    @property
    def nats(self) -> float:
        """Fall of the log-probability."""
        return math.log(max(self.before, 1e-12) / max(self.after, 1e-12))


class Read(NamedTuple):
    """What was added to the answer's logit by reading one word."""

    name: str
    place: int
    """The word's first position."""
    added: float


class Own(NamedTuple):
    """The feedforward that adds most, in the place of the token that asks."""

    name: str
    """Of that token."""
    layer: int
    added: float


def hidden_sentence(tried: Sequence[Without], answer: str, n_words: int) -> str:
    """Say which word mattered most, and how much the others did.

    Args:
        tried: What became of the answer without each of some words.
        answer: The token's name.
        n_words: How many words could have been tried.
    """
    if not tried:
        return f"Nothing comes before the token that asks, so {answer} needs no earlier word."
    first, *rest = sorted(tried, key=lambda one: one.after)
    if not first.counts:
        return _none(tried, answer, n_words)
    lost = "and still leads" if first.leads is None else f"and {first.leads} leads"
    said = (
        f"Without {first.name}, the answer {answer} falls from {percent(first.before)} to "
        f"{percent(first.after)}, {lost}."
    )
    return f"{said} {_others(first, rest, n_words)}".strip()


def both_sentence(tried: Sequence[Without], reads: Sequence[Read], own: Own | None) -> str:
    """Say whether the word that costs most is the one that the answer was read from.

    Nothing is said where it was read from none.
    """
    first = min(tried, key=lambda one: one.after, default=None)
    read = max(reads, key=lambda one: one.added, default=None)
    if first is None or read is None or _made_in_place(read, own) or read.added <= 0:
        return ""
    if not first.counts:
        return f"It read the answer most from {read.name}, but does without it."
    if first.place == read.place:
        lost = "it falls" if first.leads is None else "it is lost"
        return (
            f"It read the answer from {read.name} (the largest direct contribution), and without "
            f"{read.name} {lost}: both ways name the same word."
        )
    costs = f"Hiding the place of {first.name} costs most, though the answer was read from "
    if first.place > read.place:
        return f"{costs}{read.name}: earlier words are gathered there."
    return f"{costs}{read.name}, which comes later and may have gathered it."


def read_sentence(reads: Sequence[Read], own: Own | None, total: float) -> str:
    """Say from which words the answer was read, or that it was made in the asking token's place.

    Args:
        reads: What was read of each word.
        own: The feedforward that adds most.
        total: What all parts add to the answer's logit.
    """
    first, second, *_ = (*sorted(reads, key=lambda one: -one.added), None, None)
    of_all = f"of the {three_digits(total)} that all parts add to its logit"
    if own is not None and _made_in_place(first, own):
        said = (
            f"It made the answer mostly in the place of {own.name} itself: the feedforward of "
            f"layer {own.layer} adds {signed(own.added)} {of_all}."
        )
        if first is None or first.added <= 0:
            return said
        return f"{said} Of what it read, {first.name} adds most, {signed(first.added)}."
    if first is None or first.added <= 0:
        return "It read the answer from no word in particular: none adds anything to its logit."
    said = f"It read the answer most from {first.name}: {signed(first.added)} {of_all}."
    if second is not None and second.added > 0:
        said += f" Next is {second.name}, {signed(second.added)}."
    return said


def _made_in_place(read: Read | None, own: Own | None) -> bool:
    """Whether one feedforward adds more than what was read of any word."""
    return own is not None and own.added > max(0.0, read.added if read else 0.0)


def _none(tried: Sequence[Without], answer: str, n_words: int) -> str:
    before, most = tried[0].before, max(abs(one.fall) for one in tried)
    if (against := _against(tried)) is not None:
        return (
            f"No single word decides: hiding any of {_those(tried, n_words)} leaves {answer} at "
            f"{percent(min(before, *(one.after for one in tried)))} or more. {against}"
        )
    return (
        f"No single word decides: hiding any of {_those(tried, n_words)} leaves {answer} where it "
        f"is, at {percent(before)}, changed by {_points(most)}."
    )


def _others(first: Without, rest: Sequence[Without], n_words: int) -> str:
    """What the words do that matter less than the first one."""
    said = []
    if rest and rest[0].counts:
        much = "matters almost as much" if rest[0].nats > 0.5 * first.nats else "comes next"
        said.append(f"{rest[0].name} {much}: {percent(rest[0].after)} without it.")
    elif rest and _against(rest) is None:
        most = max(abs(one.fall) for one in rest)
        n_tried = len(rest) + 1
        others = "any other word" if n_tried >= n_words else f"any other of the {_word(n_tried)}"
        said.append(f"Hiding {others} changes it by {_points(most)}.")
    if (against := _against(rest)) is not None:
        said.append(against)
    return " ".join(said)


def _against(tried: Sequence[Without]) -> str | None:
    """Say which word stood in the answer's way, if one did."""
    most = max(tried, key=lambda one: one.after, default=None)
    if most is None or -most.fall < POINTS_THAT_COUNT:
        return None
    return f"{most.name} works against it: {percent(most.after)} without it."


def _those(tried: Sequence[Without], n_words: int) -> str:
    return "them" if len(tried) >= n_words else f"the {_word(len(tried))} that it read most from"


def _word(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def _points(change: float) -> str:
    """Write the largest of some changes of a probability."""
    if change < 0.01:
        return "less than 1 point"
    return f"at most {counted(math.ceil(round(100 * change, 6)), 'point')}"
