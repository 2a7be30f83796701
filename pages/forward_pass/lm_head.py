"""Stage 4: which probabilities does the LM head make of a lane's final vector?"""

import streamlit as st

from model_hooks import Decoding, Stage
from model_hooks.read.tail import logits_after
from model_hooks.write.stages import rank_of
from pages.ask.computed import computed
from pages.forward_pass.seen import Seen, code
from pages.state.visit import put
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from pages.widgets.press import press
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import PROBABILITY, RANK, shown
from pages.widgets.words import token_name
from viz import candidates, next_token_bars, vector_strip

_logits_after = computed(logits_after)


def draw(seen: Seen) -> None:
    """Draw the final vector of a lane, and the probabilities that the LM head makes of it."""
    last, vocab_size = seen.info.n_layers - 1, len(seen.stages[0].scores)
    st.markdown(
        f"After the last block, only one vector is needed: that of the **last token**. The **LM "
        f"head** turns its {seen.info.d_model:,} numbers into one number (logit) for each of the "
        f"{vocab_size:,} tokens, and the softmax turns those into **probabilities** that sum to 1."
    )
    lane = "The last lane" if seen.is_last else f"The lane of token {seen.pos}"
    named = f", token {seen.pos}" if seen.is_last else ""
    st.markdown(f"**{lane}**{named}, {seen.token}: the vector that leaves block {last}.")
    final = seen.vector("resid_post", last)
    chart(
        drawing(vector_strip, final),
        key="forward.final",
        alt=f"The {len(final)} numbers of the final vector of token {seen.pos}",
    )
    numbers_from(seen.abilities.layers[-1].path, seen.embedding.shape, layer=last)
    raw = _raw(seen)
    if not seen.is_last:
        _unused(seen, raw)
    st.markdown("**What comes next**, straight from the model:")
    chart(
        drawing(next_token_bars, candidates([raw], token_name)),
        key="forward.next",
        alt="Probabilities of the most probable next tokens, and of all others together",
    )
    st.caption(
        f":material/database: softmax of the logits after {_steps(seen)}, shape "
        f"`[1, {len(final)}] → [1, {vocab_size}]`"
    )


def _raw(seen: Seen) -> Stage:
    """The chosen lane's own distribution."""
    if seen.is_last:
        return seen.stages[0]
    logits = _logits_after(*seen.asked, seen.pos)
    return Decoding().stages(logits, seen.asked.token_ids[: seen.pos + 1])[0]


def _steps(seen: Seen) -> str:
    norm, head = seen.abilities.final_norm, seen.abilities.lm_head
    return f"`{norm.path}` and `{head.path}`" if norm and head else "the model's last layers"


def _unused(seen: Seen, raw: Stage) -> None:
    """Say what an earlier lane predicted, and lead to the one that counts."""
    actual = seen.asked.token_ids[seen.pos + 1]
    gave = shown(PROBABILITY, float(raw.probabilities[actual]), seen.pos, actual)
    rank = shown(RANK, rank_of(raw.scores, actual), seen.pos, actual)
    st.markdown(
        f"Every lane makes a prediction, but this one is not used: what follows is already "
        f"in the prompt, {code(seen.tokens[seen.pos + 1])}. This lane gave it "
        f"**{gave}**, rank {rank}."
    )
    press(
        "Go to the lane that predicts",
        icon=":material/last_page:",
        key="forward.last",
        on_click=put,
        kwargs={"pos": None},
    )
