"""Stage 5: which token is picked, and from which probabilities?"""

import streamlit as st

from pages.forward_pass.flow import Choice
from pages.forward_pass.seen import Seen, code_of
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from pages.widgets.quantity import CHANCE, shown
from pages.widgets.words import token_name
from viz import candidates, candidates_bars


def draw(seen: Seen) -> None:
    """Draw the distribution that a token is picked from, and the pick."""
    final = seen.stages[-1].probabilities
    if seen.decoding.strategy == "greedy":
        how = "**Greedy** decoding takes the most probable token"
    else:
        n_left = int((final > 0).sum())
        how = (
            f"**Sampling** draws one of {n_left:,} tokens at random, in proportion to these "
            f"probabilities (seed {seen.decoding.seed})"
        )
    chance = shown(CHANCE, float(final[seen.picked]), len(seen.tokens) - 1, seen.picked)
    st.markdown(f"{how}: **{code_of(seen.picked)}**, with {chance}.")
    rows = candidates(seen.stages, token_name, chosen=seen.picked)
    chart(
        drawing(candidates_bars, rows, seen.picked),
        key="forward.choice",
        alt="Probabilities of the candidates after the decoding options; the picked one is marked",
    )
    st.markdown(
        "The picked token is put at the end of the text, and everything above runs again for the "
        "next one. That is all a language model does to write."
    )
    st.caption(f":material/database: softmax of the last position's logits, shape `[{len(final)}]`")


def picked(seen: Seen) -> Choice:
    """Return the picked token for the picture."""
    greedy = seen.decoding.strategy == "greedy"
    return Choice(
        seen.picked,
        token_name(seen.picked),
        float(seen.stages[-1].probabilities[seen.picked]),
        "Greedy: the most probable token." if greedy else f"Sampled, seed {seen.decoding.seed}.",
    )
