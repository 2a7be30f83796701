"""What comes when the same choice is made many times?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float, Int

from model_hooks import Stage
from model_hooks.read.choice import draws_after
from model_hooks.write.decoding import MAX_SEED
from pages.ask.computed import computed
from pages.lm_head.choices import Choices
from pages.lm_head.seen import Seen, greedy_note
from pages.state.visit import part, put
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.press import press
from pages.widgets.words import token_name
from viz import drawn_counts, expected_spread

HELP = (
    "The same choice made again and again, each time from the same probabilities. By chance, "
    "counts differ from what is expected; the range holds 95 of 100 repetitions (binomial "
    "distribution)."
)
N_DRAWN = 14
"""Tokens that get a bar of their own."""
MAX_DRAWS = 5000

_draws_after = computed(draws_after)


class Drawn(NamedTuple):
    """How often tokens came; the last row may be all others together."""

    names: list[str]
    probabilities: Float[np.ndarray, "row"]
    counts: Int[np.ndarray, "row"]


def draw(seen: Seen) -> None:
    """Draw how often each token came, and how often was to be expected."""
    greedy_note(seen)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    n_draws = bind(
        row.number_input,
        "Draws",
        "lm_head.n_draws",
        min_value=10,
        max_value=MAX_DRAWS,
        step=50,
        width=240,
    )
    n_again = part(Choices).drawn_again
    with row:
        press(
            "Draw again",
            key="lm_head.again",
            icon=":material/casino:",
            on_click=put,
            kwargs={"lm_head.drawn_again": n_again + 1},
            help="Another set of draws, from the same probabilities.",
        )
    seed = (seen.decoding.seed + n_again) % (MAX_SEED + 1)
    counts = _draws_after(*seen.asked, seen.sampling, n_draws, seed, seen.pos)
    drawn = rows_of_draws(seen.sampling_stages[-1], counts)
    spread = expected_spread(np.minimum(drawn.probabilities, 1.0), n_draws)
    inside = int(((drawn.counts >= spread.low) & (drawn.counts <= spread.high)).sum())
    st.markdown(
        f"Of {n_draws:,} draws, **{int((counts > 0).sum()):,} different tokens** came. {inside} of "
        f"{len(drawn.counts)} counts lie in their expected range."
    )
    chart(
        drawing(drawn_counts, drawn.names, drawn.counts, spread, n_draws),
        key="lm_head_draws",
        alt=f"How often each token came in {n_draws} draws, and how often was to be expected",
    )
    st.caption(f"Drawn by `torch.multinomial` from the final probabilities, seed {seed}.")
    columns = {
        "token": drawn.names,
        "probability": drawn.probabilities,
        "drawn": drawn.counts,
        **spread._asdict(),
    }
    csv_button(lambda: pd.DataFrame(columns), "draws")


def rows_of_draws(stage: Stage, counts: Int[np.ndarray, "vocab"]) -> Drawn:
    """Return the most probable tokens and how often they came, and all others in one row."""
    shown = np.argsort(-stage.probabilities, kind="stable")[:N_DRAWN]
    shown = shown[stage.probabilities[shown] > 0]
    others = np.ones(len(counts), bool)
    others[shown] = False
    drawn = Drawn([token_name(int(i)) for i in shown], stage.probabilities[shown], counts[shown])
    rest = stage.probabilities[others]
    if not rest.sum() > 0:
        return drawn
    return Drawn(
        [*drawn.names, f"{int((rest > 0).sum()):,} others"],
        np.append(drawn.probabilities, rest.sum()),
        np.append(drawn.counts, counts[others].sum()),
    )
