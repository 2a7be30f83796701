"""What does each stage of the picture do to this very text? One sentence per stop."""

import streamlit as st

from model_hooks.read.hiding import words_of
from pages.forward_pass.seen import Seen, code, code_of
from pages.state.visit import put
from viz.numbers import counted, percent


def sentence(seen: Seen, stage: str) -> str:
    """Say in one or two sentences what a stage does in this run."""
    return {
        "tokenizer": _tokenizer,
        "embedding": _embedding,
        "blocks": _blocks,
        "lm_head": _lm_head,
        "choice": _choice,
    }[stage](seen)


def buttons(stages: tuple[str, ...], number: int) -> None:
    """Offer the stop before, the one after, and the end of the tour."""
    moves = (
        ("back", "Back", ":material/arrow_back:", number - 1),
        ("next", "Next stop", ":material/arrow_forward:", number + 1),
    )
    for name, label, icon, stop in moves:
        st.button(
            label,
            key=f"forward.tour_{name}",
            icon=icon,
            type="primary" if name == "next" else "secondary",
            disabled=not 0 <= stop < len(stages),
            on_click=put,
            args=({"forward_pass.stage": stages[stop % len(stages)]},),
        )
    st.button(
        "End the tour",
        key="forward.tour_end",
        icon=":material/close:",
        on_click=put,
        args=({"forward_pass.tour": False},),
    )


def _tokenizer(seen: Seen) -> str:
    n_tokens = len(seen.tokens)
    cut = longest_cut_word(seen.tokens)
    more = f" A rare word is cut: {' '.join(map(code, cut))} is one word." if cut else ""
    return (
        f"The text becomes **{counted(n_tokens, 'token')}**, pieces that the model has a number "
        f"for: {seen.token} is {seen.asked.token_ids[seen.pos]:,}.{more}"
    )


def _embedding(seen: Seen) -> str:
    return (
        f"Each number is looked up in a table and becomes a **vector of {seen.info.d_model:,} "
        f"numbers** (the coloured strips show the first of them). From here on {seen.token} has a "
        "lane of its own."
    )


def _blocks(seen: Seen) -> str:
    read = most_read(seen)
    where = (
        f" In layer {seen.layer} the chosen lane, {seen.token}, reads most from {code(read[0])}, "
        f"the first token apart: {percent(read[1])} of its attention."
        if read
        else ""
    )
    return (
        f"**{counted(seen.info.n_layers, 'block')}** change the lanes one after the other. Only "
        f"in attention (●) can a lane read earlier ones; the feedforward (■) works alone.{where}"
    )


def _lm_head(seen: Seen) -> str:
    probabilities = seen.stages[0].probabilities
    first, second = probabilities.argsort()[::-1][:2].tolist()
    return (
        f"What the last lane holds is compared with all **{len(probabilities):,} tokens**: "
        f"{code_of(first)} gets {percent(float(probabilities[first]))}, then {code_of(second)} "
        f"{percent(float(probabilities[second]))}."
    )


def _choice(seen: Seen) -> str:
    how = (
        "the most probable one is taken"
        if seen.decoding.strategy == "greedy"
        else f"one is drawn at random, with seed {seen.decoding.seed}"
    )
    return (
        f"Here {how}: **{code_of(seen.picked)}**. Press **Step** at the top: it joins the text, "
        "and all of this runs again for the next token. That is how a text is written."
    )


def longest_cut_word(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Return the pieces of the word that is cut into most; none where every word is whole."""
    longest = max(words_of(tokens), key=len, default=())
    return tuple(tokens[pos] for pos in longest) if len(longest) > 1 else ()


def most_read(seen: Seen) -> tuple[str, float] | None:
    """Return the token that the chosen lane reads most in the chosen layer, and its share.

    The mean over the heads. The first token, where heads leave what they have no use for, does not
    count; None where nothing else is read.
    """
    row = seen.reads[seen.layer]
    if row is None or seen.pos < 1:
        return None
    pos = 1 + int(row[1 : seen.pos + 1].argmax())
    return seen.tokens[pos], float(row[pos])
