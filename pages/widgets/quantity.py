"""Which quantity does a number on a page give, and of what?

    shown(CHANCE, 0.979, pos, token_id)     # "97.9%"

What is written here is one quantity of one thing, and has one value on all pages of one state: a
test opens every page, listens to all that is written (`heard`), and compares.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from model_hooks import Decoding
from viz.numbers import Number, bits, percent, signed, size_text, three_digits


class Quantity(NamedTuple):
    """What a number can give."""

    name: str
    write: Callable[[Number], str]


class Shown(NamedTuple):
    """A number that a page has written."""

    quantity: str
    of: tuple[object, ...]
    """What it is of: positions, token IDs, layers."""
    value: float
    text: str


def _whole(number: Number) -> str:
    return f"{number:,.0f}"


PROBABILITY = Quantity("probability, straight from the model", percent)
"""Of a token after a position: `pos, token_id`; so are the five below."""
CHANCE = Quantity("probability, with the options set", percent)
RANK = Quantity("rank, straight from the model", _whole)
RANK_SET = Quantity("rank, with the options set", _whole)
LOGIT = Quantity("logit", three_digits)
SURPRISE = Quantity("surprisal, straight from the model", bits)
ENTROPY = Quantity("entropy, with the options set", bits)
"""Of the choice after a position: `pos`."""
LENS = Quantity("probability, read from the stream", percent)
"""Of a token, read after a part of a layer: `layer, part, pos, token_id`."""
LOSS = Quantity("loss", bits)
"""The mean over the text, per token; of nothing more."""
ATTENTION = Quantity("attention weight", percent)
"""`layer, head, query, key`; for the mean over heads the head is None."""
ADDED = Quantity("added to a logit", signed)
"""By a part of the model at the scale of the last layer: `part, layer, pos, token_id`."""
NEGATIVE = Quantity("share of neurons that get a negative number", percent)
"""In a layer, at a token: `layer, pos`; so is the next."""
SMALL = Quantity("share of neurons that give less than a hundredth of the largest", percent)
LENGTH = Quantity("length of a vector", three_digits)
"""`part, layer, pos`, parts as in `model_hooks.read.recorded.PARTS`."""
CACHED = Quantity("bytes in a KV cache", size_text)
"""`model, n_positions, dtype`."""
PARAMETERS = Quantity("parameters", _whole)
"""`model`, or with a part of it."""
BITS_PER_BYTE = Quantity("bits per byte of unseen stories", lambda number: f"{number:.3f}")
"""The mean over seeds: `model, n_seeds`."""
TOKENS = Quantity("tokens of the text", _whole)
CONTEXT = Quantity("tokens that fit into the context", _whole)

_LISTENERS: list[Callable[[Shown], object]] = []


def shown(quantity: Quantity, value: Number, *of: object) -> str:
    """Write a number; `of` says what it is of, as the quantity wants it."""
    text = quantity.write(value)
    for listener in _LISTENERS:
        listener(Shown(quantity.name, of, float(value), text))
    return text


@contextmanager
def heard(listener: Callable[[Shown], object]) -> Iterator[None]:
    """Let a function hear of every number that is written, in any thread."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def before_options(decoding: Decoding) -> str:
    """Say that a probability is not the one that the bar shows, where options change that one."""
    return ", before the options" if decoding.active() or decoding.rules.are_on else ""
