"""How unexpected was each token of the prompt?"""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool

from model_hooks.read.choice import Surprisals, surprisals
from pages.ask.computed import computed
from pages.lm_head.seen import Seen, bold, follow
from pages.state.visit import put
from pages.text import escape_markdown, visible
from pages.widgets.candidates import NO_NUMBERS
from pages.widgets.components import token_strip
from pages.widgets.download import csv_button
from pages.widgets.press import press
from pages.widgets.quantity import (
    LOSS,
    PROBABILITY,
    RANK,
    SURPRISE,
    before_options,
    shown,
)
from viz.numbers import bits as in_bits
from viz.numbers import fair_draw, three_digits

HELP = (
    "**Surprisal** is how unexpected a token was: -log2 of its probability, in bits. 0 bits: the "
    "model was certain of it. Each bit more halves the probability."
)

_surprisals = computed(surprisals, says="Reading every prediction…")


def draw(seen: Seen) -> None:
    """Draw every token with its surprisal."""
    if len(seen.tokens) == 1:
        st.info(
            "One token alone has nothing before it that could predict it: type a longer prompt."
        )
        return
    found: Surprisals = _surprisals(*seen.asked)
    known = np.isfinite(found.bits)
    if not known.any():
        st.error(NO_NUMBERS, icon=":material/error:")
        return
    _strip(seen, found, known)
    st.caption(note(found))
    st.markdown(sentence(seen, found))
    if seen.pos > 0:
        press(
            "Look at that choice",
            key="lm_head.before",
            icon=":material/arrow_back:",
            help="Goes to the token before, whose vector predicted this one.",
            on_click=look_at_choice_of,
            args=(seen.pos, seen.asked.token_ids[seen.pos]),
        )
    csv_button(lambda: table_of(seen, found), "surprisal")


def _strip(seen: Seen, found: Surprisals, known: Bool[np.ndarray, "pos"]) -> None:
    shades = np.where(known, found.bits, 0) / (float(found.bits[known].max()) or 1)
    told = list(zip(known, found.bits, found.ranks, strict=True))
    token_strip(
        seen.tokens,
        key="lm_head_surprisal",
        selected=seen.pos,
        weights=shades,
        notes=[three_digits(bits) if is_known else "" for is_known, bits, _ in told],
        hints=[
            f"{in_bits(bits)}, rank {rank:,}" if is_known else "nothing predicts it"
            for is_known, bits, rank in told
        ],
        on_pick=lambda pos: put(pos=pos),
        label="Surprisal of each token in bits",
    )


def note(found: Surprisals) -> str:
    """Say what the numbers and shades under the tokens mean, and what they come to."""
    bits = found.bits[np.isfinite(found.bits)]
    mean = float(bits.mean())
    loss = shown(LOSS, mean)
    return (
        f"The number under a token is its surprisal in bits; the stronger its shade, the more "
        f"surprising it was (strongest: {in_bits(bits.max())}). The mean is {loss} "
        f"a token, so the model was as unsure as if it chose among {fair_draw(mean)}, all "
        "equally good, each time (the *perplexity* of this text)."
    )


def sentence(seen: Seen, found: Surprisals) -> str:
    """Say how probable the chosen token was, and what was expected instead."""
    pos = seen.pos
    name = escape_markdown(visible(seen.tokens[pos]))
    if pos == 0:
        return f"**{name}** is the first token: nothing comes before it, so nothing predicts it."
    of = pos - 1, seen.asked.token_ids[pos]
    probability = shown(PROBABILITY, float(2 ** -found.bits[pos]), *of)
    said = (
        f"**{name}** had a probability of **{probability}**{before_options(seen.decoding)}: "
        f"{shown(SURPRISE, found.bits[pos], *of)}, rank {shown(RANK, found.ranks[pos], *of)}. "
    )
    if found.ranks[pos] == 1:
        return said + "It was the token that the model expected most."
    best = int(found.top_ids[pos])
    expected = shown(PROBABILITY, float(found.top_probabilities[pos]), pos - 1, best)
    return said + f"Most expected was {bold(best)} ({expected})."


def look_at_choice_of(pos: int, token_id: int) -> None:
    """Go to the choice that the token at a position came from, and follow that token in it."""
    put(pos=pos - 1, now=False)  # which forgets what was followed
    follow(token_id)


def table_of(seen: Seen, found: Surprisals) -> pd.DataFrame:
    """Return what is known of every token, for download."""
    return pd.DataFrame(
        {
            "pos": range(len(seen.tokens)),
            "token_id": seen.asked.token_ids,
            "token": seen.tokens,
            "bits": found.bits,
            "rank": found.ranks,
            "expected_id": found.top_ids,
            "expected_probability": found.top_probabilities,
        }
    )
