"""What does the model end on after one token, and after which layer does that take the lead?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from model_hooks import Decoding, ModelInfo
from model_hooks.host import Run
from model_hooks.read.lens import Point, TokenLens, checked_output, read_tokens
from pages.ask.computed import computed
from pages.text import escape_markdown
from pages.widgets.check import agree, check
from pages.widgets.quantity import PROBABILITY, before_options, shown
from pages.widgets.words import watched_ids

_lens = computed(read_tokens, says="Reading every layer…")
_output = computed(checked_output)


class Reading(NamedTuple):
    """The lens at one position, of the tokens that lead at some point or are watched."""

    lens: TokenLens
    output: Float[np.ndarray, "vocab"]
    """The model's own, as natural log-probabilities."""
    difference: float
    """The largest difference between the last row's probabilities and the model's output."""

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the stream."""
        return self.lens.points

    @property
    def pos(self) -> int:
        """The position."""
        return self.lens.pos

    @property
    def final_id(self) -> int:
        """The token that the model ends on."""
        return int(self.lens.leading[-1, 0])

    def probabilities(self, token_ids: Sequence[int]) -> Float[np.ndarray, "point token"]:
        """Return those of some tokens, which lead somewhere or are watched."""
        return np.exp(self.lens.log_probs[:, self._columns(token_ids)])

    def ranks(self, token_ids: Sequence[int]) -> Int[np.ndarray, "point token"]:
        """Return the ranks, from 1, of such tokens."""
        return self.lens.ranks[:, self._columns(token_ids)]

    def _columns(self, token_ids: Sequence[int]) -> list[int]:
        return [self.lens.token_ids.index(one) for one in token_ids]


def read(asked: Run, pos: int) -> Reading:
    """Read the lens at one position, and compare its last row with the output.

    Raises:
        InlookError: The model's tail cannot be run alone, or gives no numbers here.
    """
    output, difference = _output(*asked, pos)
    watched = tuple(sorted(watched_ids(output)))
    return Reading(_lens(*asked, pos, watched), output, difference)


def point_name(point: Point, info: ModelInfo) -> str:
    """Name a point of the stream, such as `after attention 3`."""
    if point.after == "embedding":
        return "embedding"
    if point.after == "attention" and point.layer not in info.attention_layers:
        return f"after mixing {point.layer}"
    return f"after {point.after} {point.layer}"


def answer(reading: Reading, info: ModelInfo, name: str, previous: str, decoding: Decoding) -> str:
    """Say in one sentence where the final token takes the lead, and from where on it keeps it.

    Args:
        reading: The lens at one position.
        info: The model's sizes.
        name: The token that the model ends on, for people.
        previous: The token that it follows, for people.
        decoding: The options that are set, none of which the lens looks at.
    """
    token = reading.final_id
    leads = reading.ranks([token])[:, 0] == 1
    first = int(np.argmax(leads))
    for_good = len(leads) - int(np.argmin(leads[::-1])) if not leads.all() else 0
    probability = shown(
        PROBABILITY, float(reading.probabilities([token])[-1, 0]), reading.pos, token
    )
    start = (
        f"After “{escape_markdown(previous)}” the model ends on **{escape_markdown(name)}** "
        f"({probability}{before_options(decoding)}). "
    )
    name_of_first = point_name(reading.points[first], info)
    place = escape_markdown("after the embedding" if first == 0 else name_of_first)
    if first == for_good:
        return start + f"It takes the lead **{place}** and keeps it."
    kept = escape_markdown(point_name(reading.points[for_good], info))
    return start + f"It first leads **{place}**, and for good from **{kept}** on."


def check_last_row(reading: Reading, info: ModelInfo) -> None:
    """Say whether the lens's last row equals the model's output."""
    n_tokens, difference = info.vocab_size, reading.difference
    rest = (
        "the model's own output, from a plain run of the text up to this token. Over all "
        f"{n_tokens:,} tokens, no probability differs by more than {difference:.0e}."
    )
    well, badly = f"the last row equals {rest}", f"the last row should equal {rest}"
    check(agree(difference, dtype=info.dtype), well, badly)
