"""What happens to a score when its query and its key move?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError
from model_hooks.read.moved import MovedScores, moved_scores
from model_hooks.read.recorded import abilities_of
from pages.ask.computed import computed
from pages.positions.choices import Choices, Moving
from pages.positions.picked import Picked, pick_pair
from pages.positions.subject import Subject
from pages.state.visit import part
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.long_text import WHOLE_UP_TO
from pages.widgets.provenance import numbers_from
from viz.numbers import three_digits
from viz.rotation import TurnedPair, chosen_pairs, rotation_slider, turn_length

HELP = (
    "The numbers of a query and of a key are taken in **pairs**. Each pair is an arrow in a plane, "
    "and the token's position says how far it is turned: the first pair fast, the last one slowly. "
    "The score sums, over all pairs, how well the two arrows agree. (Su et al. 2021, *RoFormer*, "
    "section 3.2.2)"
)
SPAN = 64
"""How many positions the slider moves a query."""
FAR = 64
"""How many positions the whole prompt is moved for the check in the model itself."""
MOVES: dict[Moving, str] = {"query": "the query alone", "both": "query and key together"}

_moved_scores = computed(moved_scores)
_abilities = computed(abilities_of)


class Turning(NamedTuple):
    """What the slider runs through."""

    pairs: list[TurnedPair]
    scores: Float[np.ndarray, "step"]
    steps: list[int]
    """What the slider counts: positions of the query, or how far both have moved."""
    start: int
    """The step that is the prompt's own."""
    moved: str


def slider_of(turning: Turning, measure: str) -> go.Figure:
    """Draw the turned pairs with a slider over the steps."""
    return rotation_slider(
        turning.pairs,
        turning.scores,
        turning.steps,
        moved=turning.moved,
        start=turning.start,
        measure=measure,
    )


def draw(subject: Subject) -> None:
    """Let the reader turn a query and a key by their positions, in the browser."""
    picked = pick_pair(subject)
    if picked is None:
        return
    bind(
        st.segmented_control,
        "Move",
        "positions.move",
        options=[*MOVES],
        format_func=MOVES.__getitem__,
        required=True,
        help="Moving a token turns its arrows. The score changes only with the distance.",
    )
    moving = part(Choices).move
    turning = turning_of(picked, moving)
    chart(
        drawing(slider_of, turning, picked.measure),
        key="positions_rotation",
        alt=f"Pairs of query {picked.query_pos} and key {picked.key_pos}, turned by their "
        "positions",
    )
    st.caption(circles_note(picked.rotation.n_pairs, len(turning.pairs)))
    st.markdown(in_words(picked, turning, moving))
    _check(subject, picked)
    with st.popover("The formula", icon=":material/functions:"):
        _formula()
    numbers_from(
        _abilities(subject.asked.model_name).layers[picked.layer].attention_path,
        (subject.info.n_heads, len(subject.tokens), picked.rotation.d_head),
        "queries",
        picked.layer,
    )
    csv_button(lambda: table_of(turning), "rotation")


def turning_of(picked: Picked, moving: Moving) -> Turning:
    """Work out what the slider moves: arrows, scores, its steps, and where it begins."""
    moved, rotation, pair = np.arange(SPAN + 1), picked.rotation, picked.pair
    if moving == "both":
        queries, keys = picked.query_pos + moved, picked.key_pos + moved
        steps, start, what = moved, 0, "both moved by"
    else:
        queries, keys = picked.key_pos + moved, np.full(SPAN + 1, picked.key_pos)
        steps, start, what = queries, min(picked.distance, SPAN), "position of the query"
    turned = [
        rotation.pair_values(rotation.turned(vector, positions))
        for vector, positions in ((pair.query, queries), (pair.key, keys))
    ]
    pairs = []
    for j in chosen_pairs(rotation.n_pairs):
        query, key = (np.stack([np.real(of[:, j]), np.imag(of[:, j])], -1) for of in turned)
        turn = turn_length(float(rotation.wavelengths[j])).removesuffix(" tokens")
        pairs.append(TurnedPair(f"{j}: {turn}", query, key))
    return Turning(
        pairs=pairs,
        scores=picked.scale * rotation.products_at(pair.query, pair.key, queries, keys),
        steps=steps.tolist(),
        start=start,
        moved=what,
    )


def table_of(turning: Turning) -> pd.DataFrame:
    """Return the scores that the slider runs through."""
    return pd.DataFrame({turning.moved: turning.steps, "score": turning.scores})


def circles_note(n_pairs: int, n_shown: int) -> str:
    """Say what the circles show."""
    which = "" if n_shown == n_pairs else f" ({n_shown} of {n_pairs} are shown)"
    return (
        f"Each circle is a pair of dimensions{which}; above it, its number and how many tokens one "
        "turn takes. Long arrows count more: lengths follow the square root of the pair's length."
    )


def in_words(picked: Picked, turning: Turning, moving: Moving) -> str:
    """Say what moving does to the score."""
    (query, key), scores, steps = picked.names, turning.scores, turning.steps
    if moving == "both":
        change = float(np.abs(scores - scores[turning.start]).max())
        return (
            f"**Move both, nothing changes.** {query} and {key} stay {picked.distance} apart. "
            f"Every arrow turns, yet over {steps[-1]} positions the {picked.measure} changes by at "
            f"most **{change:.0e}**, which is rounding."
        )
    return (
        f"**Move one, and the {picked.measure} changes**: between {three_digits(scores.min())} and "
        f"{three_digits(scores.max())} while {query} moves from the place of {key} to "
        f"{len(steps) - 1} "
        f"positions after it. In the prompt it stands at {picked.query_pos}, and it is "
        f"{three_digits(picked.pair.recorded)}."
    )


def _check(subject: Subject, picked: Picked) -> None:
    """Check the turning, and compare scores with the model's own for the whole prompt moved."""
    pair, dtype = picked.pair, subject.info.dtype
    size = float(max(np.abs(pair.query).max(), np.abs(pair.key).max()))
    said = (
        f"the model recorded {pair.recorded:.5f}; query and key turned back to position 0 and "
        f"forward again differ from the recorded ones by at most {pair.turn_error:.0e}."
    )
    holds = agree(pair.turn_error, size, dtype)
    room = subject.info.context_size
    by = FAR if room is None else min(FAR, room - len(subject.tokens))
    is_short = len(subject.tokens) <= WHOLE_UP_TO
    moved = _moved_by(subject, by) if by > 0 and is_short else None
    if not is_short:
        said += (
            f" Of a text of more than {WHOLE_UP_TO:,} tokens, not every {picked.measure} is "
            "computed once more with the text moved."
        )
    if moved is not None:
        at = picked.layer, picked.head
        gap = picked.scale * float(moved.differences[at])
        holds = holds and agree(gap, picked.scale * float(moved.largest[at]), dtype)
        said += (
            f" With the whole prompt {by} positions further on, every {picked.measure} of this "
            f"head is the same in the model itself, to {gap:.0e}."
        )
    check(holds, said)


def _moved_by(subject: Subject, by: int) -> MovedScores | None:
    try:
        return _moved_scores(*subject.asked, by)
    except InlookError:
        return None


def _formula() -> None:
    """Write down what is turned and why only the distance counts."""
    st.latex(
        r"{\color{#3b82c4}q}_m \cdot {\color{#d9702b}k}_n = \sum_j |{\color{#3b82c4}q}_j|\,"
        r"|{\color{#d9702b}k}_j| \cos\big(\varphi_j + (m - n)\,\theta_j\big)"
    )
    st.markdown(
        r"$m$ and $n$ are the positions of query and key, $\theta_j$ is how far pair $j$ turns "
        r"per position, and $\varphi_j$ is the angle between the two arrows before they are "
        r"turned. Only $m - n$ is left. (Su et al. 2021, *RoFormer*, equations 14 to 16)"
    )
