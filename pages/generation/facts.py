"""How did a token come to be in the text: who picked it, how probable was it, what did it take?"""

from collections.abc import Sequence

import streamlit as st

from model_hooks import Decoding, Intervention
from model_hooks.host import Run
from model_hooks.write.stages import rank_of
from model_hooks.write.writing import WrittenStep
from pages.ask import writing
from pages.ask.draft import Draft
from pages.generation.choice import Choice
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.heading import heading
from pages.widgets.press import press
from pages.widgets.quantity import CHANCE, ENTROPY, RANK_SET, shown
from viz.numbers import counted, fair_draw, percent, three_digits

HELP = (
    "**Probability**: with the options set on this page, out of the whole vocabulary.\n\n"
    "**Rank**: 1 is the most probable token, with these options.\n\n"
    "**Entropy**: how open the choice is, with these options. 0 bits: only one token is "
    "possible. Each bit more doubles the number of equally good candidates.\n\n"
    "**Computed**: how many positions ran through the model for this token, and how long it took."
)


def draw(asked: Run, draft: Draft, tokens: Sequence[str], choice: Choice) -> None:
    """Say which token is looked at and how it came to be there."""
    if choice.token_id is None:
        heading("What comes next?")
    else:
        _heading(draft, tokens, choice.pos)
    if choice.pos == 0:
        st.info("Nothing comes before the first token, so the model never predicts it.")
    else:
        # One element: each costs the browser a few milliseconds of every step.
        st.markdown(f"{_story(asked, choice)}\n\n{numbers(choice)}", help=HELP)


def _heading(draft: Draft, tokens: Sequence[str], pos: int) -> None:
    name = escape_markdown(visible(tokens[pos]))
    n_written = pos - len(draft.prompt_ids) + 1
    with st.container(horizontal=True, vertical_alignment="center"):
        heading(f"Token {pos}: {name}")
        if 0 < n_written < len(draft.steps):
            press(
                "Rewind to here",
                key="generation.rewind",
                icon=":material/undo:",
                help="Take back all tokens after this one.",
                on_click=writing.rewind_to,
                args=(n_written,),
            )


def _story(asked: Run, choice: Choice) -> str:
    if choice.token_id is None:
        return f"Nothing is picked yet: these are the candidates for token {choice.pos}."
    if choice.step is None:
        return "From your prompt. The chart shows what the model expected here."
    return how_picked(choice.step, view().decoding, asked.interventions)


def how_picked(
    step: WrittenStep, decoding: Decoding, interventions: tuple[Intervention, ...]
) -> str:
    """Say who picked a token, and whether it would be picked in the same way now.

    Args:
        step: How it was picked.
        decoding: The options set now.
        interventions: What is switched off now.
    """
    if step.forced:
        who = "You chose it."
    elif step.decoding.strategy == "greedy":
        who = "Picked greedily: the most probable token."
    else:
        who = f"Drawn at random, with seed {step.decoding.seed}."
    was = f"when its probability was {percent(step.probability)}"
    if step.interventions != interventions:
        who += (
            f" It was picked before parts of the model were switched on or off, {was}; below, the "
            "model as it is now counts."
        )
    elif step.decoding != decoding:
        who += f" It was picked with other options, {was}; below, the options set now apply."
    return who


def numbers(choice: Choice) -> str:
    """Write the numbers of a choice in one line."""
    last, asks = choice.stages[-1], choice.pos - 1
    parts = []
    if (token_id := choice.token_id) is not None:
        chance = shown(CHANCE, float(last.probabilities[token_id]), asks, token_id)
        rank = shown(RANK_SET, rank_of(last.scores, token_id), asks, token_id)
        parts.append(f"probability **{chance}**")
        parts.append(f"rank **{rank}** of {len(last.scores):,}")
    parts.append(
        f"entropy **{shown(ENTROPY, last.entropy_bits, asks)}** (like a fair draw among "
        f"{fair_draw(last.entropy_bits)})"
    )
    if len(choice.stages) > 1:
        parts[-1] += ", with the options set"
    if (step := choice.step) is not None:
        positions = counted(step.rows_computed, "position")
        parts.append(
            f"computed **{positions}** in {three_digits(step.seconds * 1e3)} ms (measured once)"
        )
    return " · ".join(parts)
