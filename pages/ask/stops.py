"""Where does a run stop before it has written all its tokens, and why?

stops.reason(Stops(stop_text="light"), written)    # "“light” was written"
"""

import math
from typing import NamedTuple

from model_hooks.write.writing import WrittenStep
from pages.state.view import Stops
from pages.text import code_span, escape_markdown, visible
from viz.numbers import bits

ENDED = "the model ended the text"


class Written(NamedTuple):
    """What a run has just written."""

    step: WrittenStep
    before: str
    """All that was written before that token."""
    after: str
    """The same with it."""
    ends: bool
    """Whether the token ends the text."""
    word_rank: int | None = None
    """The rank that the watched word had when the token was picked; None: nothing is watched."""


def reason(stops: Stops, written: Written) -> str | None:
    """Say why a run stops after a token, as Markdown; None where it goes on."""
    step, text = written.step, stops.stop_text
    surprise = -math.log2(step.raw_probability) if step.raw_probability else math.inf
    if written.ends:
        return ENDED
    if text and text in written.after[max(0, len(written.before) - len(text) + 1) :]:
        return f"“{escape_markdown(text)}” was written"
    if stops.stop_off_top and step.rank > 1:
        token = code_span(visible(step.token))
        return f"{token} was taken, which had rank {step.rank:,} among all tokens"
    if stops.stop_entropy is not None and step.entropy_bits > stops.stop_entropy:
        limit, found = bits(stops.stop_entropy), bits(step.entropy_bits)
        return f"the choice was open by {found}, more than {limit}"
    if stops.stop_surprise is not None and surprise > stops.stop_surprise:
        token = code_span(visible(step.token))
        return (
            f"{token} came as a surprise of {bits(surprise)}, more than {bits(stops.stop_surprise)}"
        )
    if stops.stop_rank is not None and (written.word_rank or 0) > stops.stop_rank:
        word = escape_markdown(stops.stop_word)
        return f"“{word}” fell to rank {written.word_rank:,}, below {stops.stop_rank:,}"
    return None
