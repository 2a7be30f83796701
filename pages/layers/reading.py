"""What does the model end on after one token, and after which layer does that take the lead?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks import Decoding, ModelInfo
from model_hooks.host import Run
from model_hooks.read.lens import Point, lens_at, output_log_probs, ranks_of, stream_points
from pages.ask.computed import computed
from pages.text import escape_markdown
from pages.widgets.check import agree, check
from pages.widgets.quantity import PROBABILITY, before_options, shown

_points = computed(stream_points)
_log_probs = computed(lens_at, says="Reading every layer…")
_output = computed(output_log_probs)


class Reading(NamedTuple):
    """The lens at one position, at every point of its stream."""

    points: tuple[Point, ...]
    log_probs: Float[np.ndarray, "point vocab"]
    difference: float
    """The largest difference between the last row's probabilities and the model's output."""
    pos: int
    """The position."""

    @property
    def final_id(self) -> int:
        """The token that the model ends on."""
        return int(self.log_probs[-1].argmax())


def read(asked: Run, pos: int) -> Reading:
    """Read the lens at one position, in full, and compare its last row with the output.

    Raises:
        InlookError: The model's tail cannot be run alone, or gives no numbers here.
    """
    log_probs, output = _log_probs(*asked, pos), _output(*asked, pos)
    difference = float(np.abs(np.exp(log_probs[-1]) - np.exp(output)).max())
    return Reading(_points(asked.model_name), log_probs, difference, pos)


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
    leads = ranks_of(reading.log_probs, [token])[:, 0] == 1
    first = int(np.argmax(leads))
    for_good = len(leads) - int(np.argmin(leads[::-1])) if not leads.all() else 0
    probability = shown(
        PROBABILITY, float(np.exp(reading.log_probs[-1, token])), reading.pos, token
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
