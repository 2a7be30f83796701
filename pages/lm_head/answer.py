"""What do the scores come to? One sentence, the candidates, and the token to follow."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.lm_head.seen import Seen, bold, follow
from pages.state.visit import keyed
from pages.widgets.bind import bind
from pages.widgets.candidates import candidate_chart, rows_of
from pages.widgets.download import csv_button
from pages.widgets.quantity import CHANCE, ENTROPY, shown
from pages.widgets.words import token_name
from viz.numbers import fair_draw

N_TO_FOLLOW = 50


def draw(seen: Seen) -> None:
    """Draw the candidates, and let the reader choose one to follow."""
    st.container(key=keyed("answer")).markdown(sentence(seen))
    candidate_chart(
        rows_of(seen.stages, seen.followed),
        seen.followed,
        key="lm_head_candidates",
        view="candidates",
        chosen_is="followed",
        on_click=follow,
    )
    csv_button(lambda: table_of(seen), "candidates")
    _pick_followed(seen)


def sentence(seen: Seen) -> str:
    """Say in one sentence what the scores come to."""
    final, n_tokens = seen.stages[-1], len(seen.logits)
    best = int(final.scores.argmax())
    n_left = int((final.probabilities > 0).sum())
    left = "" if n_left == n_tokens else f" {n_left:,} of them may still be picked."
    chance = shown(CHANCE, float(final.probabilities[best]), seen.pos, best)
    entropy = shown(ENTROPY, final.entropy_bits, seen.pos)
    return (
        f"After {seen.after}, the model scores all **{n_tokens:,} tokens** of its "
        f"vocabulary.{left} {bold(best)} leads with "
        f"**{chance}**; the choice is as open as a fair draw "
        f"among **{fair_draw(final.entropy_bits)}** ({entropy})."
    )


def table_of(seen: Seen) -> pd.DataFrame:
    """Return the candidates with what each stage made of them, for download."""
    return pd.DataFrame([row._asdict() for row in rows_of(seen.stages, seen.followed)])


def _pick_followed(seen: Seen) -> None:
    """Let the reader choose the token to follow without a mouse."""
    order = np.argsort(-seen.logits, kind="stable")[:N_TO_FOLLOW].tolist()
    if seen.followed not in order:
        order.append(seen.followed)
    probabilities = seen.stages[-1].probabilities
    bind(
        st.selectbox,
        "Token to follow",
        "lm_head.followed",
        options=order,
        when_none=seen.followed,
        format_func=lambda i: (
            f"{token_name(i)}   {shown(CHANCE, float(probabilities[i]), seen.pos, i)} (ID {i})"
        ),
        help="Its numbers fill the formulas below. A click on its bar chooses it, too.",
    )
