"""What does every head of every layer read? The grid of all heads, and their order."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.read.heads import HeadScores, head_scores, head_tiles
from pages.ask.computed import computed
from pages.attention.choices import Choices
from pages.state.visit import part, put
from pages.widgets.bind import bind
from pages.widgets.components import MAX_GRID_BYTES, MAX_TILE_PX, head_grid
from pages.widgets.controls import current_position, pick_head, pick_layer
from pages.widgets.heading import heading
from pages.widgets.long_text import WHOLE_UP_TO, window_around
from viz.numbers import bits, plural, three_digits

GRID_HELP = (
    "Each square is the attention pattern of one **head**. Rows are queries (the token that "
    "reads), columns are keys (the token that is read), the first token at the top left. A strong "
    "colour is a large weight. A stripe along the diagonal reads nearby tokens; a stripe down the "
    "left edge reads the first token."
)
SORT_HELP = """
Sorts the heads by what they do on this prompt, the highest number first:
- **Previous token**: weight on the token just before.
- **First token**: weight on the first token.
- **Same token**: weight on earlier copies of the query's token.
- **Induction**: weight on what *followed* an earlier copy of the query's token: such heads continue
  what was seen before.
- **Entropy**: how evenly a head spreads its weight, in bits. 0 is one key only; 3 is like 8 keys
  alike.
- **Distance**: how many tokens back a head reads, on average.

Each is averaged over all queries but the first; *same token* and *induction* over those queries
whose token occurred before.
"""
ORDERS: dict[str, tuple[str, Callable[[float], str]]] = {
    "layer": ("Layer and head", three_digits),
    "previous_token": ("Previous token", three_digits),
    "first_token": ("First token", three_digits),
    "same_token": ("Same token", three_digits),
    "induction": ("Induction", three_digits),
    "entropy_bits": ("Entropy", bits),
    "distance": ("Distance", lambda n: f"{three_digits(n)} back"),
}
"""By the name of a score: what it is called, and how it is written."""

_tiles = computed(head_tiles, says="Looking at all heads…")
_scores = computed(head_scores, says="Measuring all heads…")


def draw(asked: Run, info: ModelInfo) -> tuple[int, int | None]:
    """Draw the grid and its controls; return the chosen layer and head."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        heading("All heads", help=GRID_HELP)
        order = _pick_order(asked)
    layer = pick_layer(info, only_attention=True)
    head = pick_head(info, mean=True)
    n_tokens = len(asked.token_ids)
    window = window_around(n_tokens, current_position(n_tokens))
    grid = _tiles(*asked, MAX_GRID_BYTES, MAX_TILE_PX, window.start, window.stop)
    head_grid(
        grid.tiles,
        key="attention_grid",
        layers=grid.layers,
        order=order,
        selected=(layer, -1 if head is None else head),
        on_pick=lambda picked: put(layer=picked[0], head=picked[1]),
    )
    if note := other_layers_note(info):
        st.caption(note)
    return layer, head


def _pick_order(asked: Run) -> list[tuple[int, int, str]] | None:
    """Let the reader sort the heads, and say so where the prompt gives nothing to sort by."""
    bind(
        st.selectbox,
        "Sort heads by",
        "attention.sort",
        options=[*ORDERS],
        format_func=lambda name: ORDERS[name][0],
        help=SORT_HELP,
        width=190,
    )
    name = part(Choices).sort
    if name == "layer":
        return None
    if len(asked.token_ids) > WHOLE_UP_TO:
        st.caption(
            "Sorting takes every weight of every head: of texts of more than "
            f"{WHOLE_UP_TO:,} tokens, the heads are not sorted."
        )
        return None
    measured: HeadScores = _scores(*asked)
    scores, (title, write) = measured.scores[name], ORDERS[name]
    if np.isnan(scores).all():
        reason = (
            "needs at least two tokens"
            if len(asked.token_ids) < 2
            else "needs a token that repeats"
        )
        st.caption(f"**{title}** {reason}; this prompt has none, so the heads are not sorted.")
        return None
    return sorted_heads(scores, write)


def sorted_heads(
    scores: Float[np.ndarray, "layer head"], write: Callable[[float], str]
) -> list[tuple[int, int, str]]:
    """Return (row, head, score in words) of all heads, the highest score first."""
    ranked = np.argsort(-scores, axis=None, kind="stable")
    cells = (divmod(int(cell), scores.shape[1]) for cell in ranked)
    return [(row, head, write(float(scores[row, head]))) for row, head in cells]


def other_layers_note(info: ModelInfo) -> str | None:
    """Name the layers of a hybrid model that have no attention."""
    others = [layer for layer in range(info.n_layers) if layer not in info.attention_layers]
    if not others:
        return None
    return (
        f"Left out, having no attention: {plural(len(others), 'layer')} "
        f"{', '.join(map(str, others))}. They carry information along the text in another way, so "
        "there is no pattern to draw."
    )
