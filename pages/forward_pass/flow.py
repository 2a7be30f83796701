"""The forward pass as one picture to click on: five stages, and one lane per token through them.

Wide screens show it from left to right, phones from top to bottom. What is drawn is what a trace
recorded; a long prompt is cut to the lanes that matter for the chosen token.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import LayerTrace, Trace
from pages.widgets.components import component
from pages.text import visible
from viz import color_limit
from viz.decoding import OTHERS, Candidate, percent

MAX_LANES = 12
"""Prompts with more tokens show these many lanes at most, and how many are hidden."""
N_LANES_OF_LONG_PROMPT = 9
STRIP_LENGTH = 16
"""Numbers of each embedding that fit into the picture; the stage shows all of them."""

_forward_flow = component("forward_flow")


class Card(NamedTuple):
    """The heading of one stage."""

    name: str
    title: str
    shape: str


class Choice(NamedTuple):
    """The token that was picked and why."""

    token_id: int
    token: str
    probability: float
    note: str
    """Why this one, in a few words."""


def forward_flow(
    trace: Trace,
    *,
    cards: Sequence[Card],
    reads: Sequence[Float[np.ndarray, "pos"] | None],
    parts: Sequence[Sequence[str]],
    candidates: Sequence[Candidate],
    choice: Choice,
    pos: int,
    layer: int,
    stage: str,
    details: str,
    key: str,
    on_pick: Callable[[str, Any], None],
) -> None:
    """Show the picture; a click reports `stage`, `pos` or `layer` and its value.

    Args:
        trace: The forward pass.
        cards: The headings of the five stages.
        reads: Per layer, what the chosen token reads from each token; None without attention.
        parts: Per layer, which parts' additions are known (`BlockAnatomy.parts`).
        candidates: The rows of the next token's probabilities; they sum to one.
        choice: The picked token.
        pos: The chosen token's position.
        layer: The layer that is marked.
        stage: The name of the card that is open.
        details: The CSS selector of what a click on a card opens; a phone scrolls there.
        key: The component's key.
        on_pick: Called before the page reruns.
    """
    positions = lanes_to_draw(len(trace), pos, reads)
    vectors = trace.embedding[positions, :STRIP_LENGTH]
    n_others = len(trace.last_logits) - sum(row.token_id != OTHERS for row in candidates)
    data = {
        "label": f"The forward pass of {len(trace)} tokens through {trace.n_layers} layers",
        "n_tokens": len(trace),
        "positions": positions,
        "tokens": [visible(trace.tokens[i]) for i in positions],
        "ids": [int(trace.token_ids[i]) for i in positions],
        "pos": pos,
        "layer": layer,
        "stage": stage,
        "details": details,
        "stages": [card._asdict() for card in cards],
        "strip": {
            "values": [[_short(value) for value in vector] for vector in vectors],
            "limit": _short(color_limit(vectors)),
        },
        "layers": [
            layer_in_picture(recorded, positions, row, known)
            for recorded, row, known in zip(trace.layers, reads, parts, strict=True)
        ],
        "candidates": [
            {
                "id": None if row.token_id == OTHERS else row.token_id,
                "token": f"{n_others:,} others" if row.token_id == OTHERS else row.token,
                "p": _short(row.probability),
                "share": percent(row.probability),
            }
            for row in sorted(
                candidates, key=lambda row: (row.token_id == OTHERS, -row.probability)
            )
        ],
        "chosen": {
            "id": choice.token_id,
            "token": choice.token,
            "share": percent(choice.probability),
            "note": choice.note,
        },
    }

    def picked() -> None:
        what, value = st.session_state[key]["picked"]
        on_pick(what, value)

    _forward_flow(key=key, data=data, on_picked_change=picked)


def lanes_to_draw(
    n_tokens: int, pos: int, reads: Sequence[Float[np.ndarray, "pos"] | None]
) -> list[int]:
    """Return the positions whose lanes are drawn: of a long prompt, what the chosen one reads most.

    The first token, the chosen one with its predecessors and the last two are always among them.
    """
    if n_tokens <= MAX_LANES:
        return list(range(n_tokens))
    drawn = {0, max(pos - 2, 0), max(pos - 1, 0), pos, n_tokens - 2, n_tokens - 1}
    known = [row for row in reads if row is not None]
    if known:
        for candidate in np.argsort(-np.mean(known, axis=0), kind="stable"):
            if len(drawn) >= N_LANES_OF_LONG_PROMPT:
                break
            drawn.add(int(candidate))
    return sorted(drawn)


def layer_in_picture(
    layer: LayerTrace,
    positions: Sequence[int],
    reads: Float[np.ndarray, "pos"] | None,
    parts: Sequence[str] = ("attention", "feedforward"),
) -> dict[str, Any]:
    """Return what the picture needs of one layer: sizes per lane, and weights per drawn row.

    The rows are the drawn lanes and, between them, the runs of hidden ones: those get the sum of
    the weights that they hide. A part whose addition is not known has no sizes.
    """
    states = {"pre": layer.resid_pre, "post": layer.resid_post}
    if "attention" in parts:
        states["attn"] = layer.attn_out
    if "feedforward" in parts:
        states["mlp"] = layer.mlp_out
    sizes = {
        name: [_short(value) for value in np.linalg.norm(array[list(positions)], axis=-1)]
        for name, array in states.items()
    }
    rows = None
    if reads is not None:
        rows, next_pos = [], 0
        for position in positions:
            if position > next_pos:
                rows.append(round(float(reads[next_pos:position].sum()), 3))
            rows.append(round(float(reads[position]), 3))
            next_pos = position + 1
    return {**sizes, "reads": rows}


def _short(value: float) -> float:
    """Four significant digits: enough for a picture, and a fraction of the bytes."""
    return float(f"{float(value):.4g}")
