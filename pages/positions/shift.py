"""What happens when the whole text moves, its distances staying as they are?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError
from model_hooks.arrays import softmax
from model_hooks.experiments.long_texts import limits_of
from model_hooks.host import Run
from model_hooks.read.moved import moved_share, moved_shares, next_token_at
from model_hooks.read.recorded import encode, info_of, last_logits
from pages.ask.computed import computed
from pages.ask.session import text_so_far
from pages.positions import others
from pages.positions.compared import draw_compared
from pages.positions.subject import Subject
from pages.text import escape_markdown
from pages.widgets.before_after import BeforeAfter
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz.numbers import percent
from viz.positions import shift_change

HELP = (
    "The text stays the same, but its first token is said to stand at position n instead of 0 "
    "(`position_ids`). Distances between tokens stay as they are."
)
MAX_POSITION = 4096
"""How far a text is moved where nothing limits it."""
N_SHIFTS = 9
ROUNDING = 1e-3
"""Shares below it are nothing that a model notices."""
FULL = "The prompt fills the whole context, so it cannot be moved."

_info_of = computed(info_of)
_limits_of = computed(limits_of, says="Trying the model at several positions…")
_encode = computed(encode)
_last_logits = computed(last_logits)
_shares = computed(moved_shares, says="Moving the text…")
_next_token_at = computed(next_token_at, says="Moving the text…")


class Moved(NamedTuple):
    """What becomes of one model's prediction when its text is moved."""

    asked: Run
    shares: dict[int, float]
    """By how far the text moved: how much probability went to other tokens."""
    by: int
    """How far this model can follow the reader's choice."""
    before: Float[np.ndarray, "vocab"]
    after: Float[np.ndarray, "vocab"]


def draw(subject: Subject) -> None:
    """Move the whole text by n positions and compare the predictions of several models."""
    others.say_which()
    rooms = _rooms(subject.asked)
    if not rooms:
        return
    furthest = max(rooms.values())
    by = bind(
        st.slider,
        "Move the text by",
        "positions.by",
        min_value=0,
        max_value=furthest,
        when_none=max(1, furthest // 4),
        keeps=True,
        help="How many positions further on the first token is said to stand.",
    )
    moved = _moved_texts(rooms, by)
    if not moved:
        return
    lines = lines_of(moved)
    grid = sorted({step for one in moved.values() for step in one.shares})
    chart(
        drawing(shift_change, grid, lines, by),
        key="positions_shift",
        alt="Share of the prediction that changes when the whole text is moved",
    )
    csv_button(lambda: pd.DataFrame({"moved_by": grid, **lines}), "positions_shift")
    st.markdown(verdict({name: one.shares for name, one in moved.items()}))
    shown = moved[_pick_listed([*moved])]
    draw_compared(
        BeforeAfter(shown.before, shown.after, f"text moved by {shown.by}"),
        shown.asked.model_name,
        key="positions_shift_list",
    )


def _rooms(asked: Run) -> dict[Run, int]:
    """Return by how many positions each model's text can move; say so where it cannot."""
    rooms, reasons = {}, []
    for name in [asked.model_name, *others.twins()]:
        try:
            one = asked if name == asked.model_name else Run(name, _encode(name, text_so_far()))
            rooms[one] = _room(one)
        except InlookError as error:
            reasons.append(f"{name}: {error}")
    movable = {one: room for one, room in rooms.items() if room > 0}
    if not movable:
        reasons = reasons or [FULL]
    for reason in reasons:
        st.info(escape_markdown(reason), icon=":material/info:")
    return movable


def _room(asked: Run) -> int:
    name = asked.model_name
    longest = _limits_of(name).n_vectors or _info_of(name).context_size
    return (longest or MAX_POSITION) - len(asked.token_ids)


def _moved_texts(rooms: Mapping[Run, int], by: int) -> dict[str, Moved]:
    """Return what becomes of each model's prediction, with a word on those that refuse."""
    found = {}
    for asked, room in rooms.items():
        try:
            found[asked.model_name] = _move(asked, room, min(by, room))
        except InlookError as error:
            st.info(escape_markdown(str(error)), icon=":material/info:")
    return found


def _move(asked: Run, room: int, by: int) -> Moved:
    steps = shifts_up_to(room)
    before, after = softmax(_last_logits(*asked)), _next_token_at(*asked, by)
    shares = dict(zip(steps, _shares(*asked, steps).tolist(), strict=True))
    return Moved(asked, {**shares, by: moved_share(before, after)}, by, before, after)


def shifts_up_to(room: int) -> tuple[int, ...]:
    """Return a few distances to move a text by, 0, 1 and the largest among them."""
    return tuple(sorted({int(step) for step in np.linspace(0, room, N_SHIFTS)} | {min(1, room)}))


def lines_of(moved: Mapping[str, Moved]) -> dict[str, Float[np.ndarray, "shift"]]:
    """Return each model's shares at all distances that any was moved by; NaN where unknown."""
    grid = sorted({step for one in moved.values() for step in one.shares})
    return {
        others.name_of(name): np.array([one.shares.get(step, np.nan) for step in grid])
        for name, one in moved.items()
    }


def verdict(shares: Mapping[str, Mapping[int, float]]) -> str:
    """Say of each model whether it notices that its text was moved."""
    parts = []
    for name, by_shift in shares.items():
        worst, furthest = max(by_shift.values()), max(by_shift)
        if worst < ROUNDING:
            parts.append(
                f"**{escape_markdown(name)}** notices nothing: over all moves up to {furthest}, at "
                f"most {worst:.0e} of its prediction changes, which is rounding."
            )
        else:
            parts.append(
                f"**{escape_markdown(name)}** takes a moved text for another one: up to "
                f"{percent(worst)} of its prediction changes."
            )
    return " ".join(parts)


def _pick_listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return bind(
        st.segmented_control,
        "The next-token list of",
        "positions.listed",
        options=names,
        when_none=names[0],
        keeps=True,
        required=True,
    )
