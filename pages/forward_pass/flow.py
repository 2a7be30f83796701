"""The forward pass as one picture to click on: five stages, and one lane per token through them.

Wide screens show it from left to right, phones from top to bottom. What is drawn is what a run
recorded; a long prompt is cut to the lanes that matter for the chosen token.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pages.forward_pass.seen import Seen
from pages.state.mailbox import reported
from pages.state.visit import is_of_other, keyed
from pages.text import visible
from pages.widgets.components import component
from pages.widgets.quantity import CHANCE, PROBABILITY, shown
from viz import color_limit
from viz.decoding import OTHERS, Candidate

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


def draw_flow(
    seen: Seen,
    *,
    cards: Sequence[Card],
    candidates: Sequence[Candidate],
    choice: Choice,
    stage: str,
    details: str,
    key: str,
    on_pick: Callable[[str, Any], None],
) -> None:
    """Show the picture; a click reports `stage`, `pos` or `layer` and its value.

    Args:
        seen: The run, and the chosen lane and layer.
        cards: The headings of the five stages.
        candidates: The rows of the next token's probabilities; they sum to one.
        choice: The picked token.
        stage: The name of the card that is open.
        details: The CSS selector of what a click on a card opens; a phone scrolls there.
        key: The component's key.
        on_pick: Called before the page reruns.
    """
    data = {
        **lanes(seen),
        "stage": stage,
        "details": details,
        "stages": [card._asdict() for card in cards],
        "candidates": candidate_rows(candidates, len(seen.stages[0].scores), len(seen.tokens) - 1),
        "chosen": {
            "id": choice.token_id,
            "token": choice.token,
            "share": shown(CHANCE, choice.probability, len(seen.tokens) - 1, choice.token_id),
            "note": choice.note,
        },
    }

    def picked() -> None:
        if told := reported(key, "picked"):
            on_pick(*told)

    if is_of_other():
        _forward_flow(key=keyed(key), data=data)
    else:
        _forward_flow(key=key, data=data, on_picked_change=picked)


def lanes(seen: Seen) -> dict[str, Any]:
    """Return what the picture needs of the tokens' lanes: IDs, vectors, and each layer's sizes."""
    n_tokens, n_layers = len(seen.tokens), len(seen.reads)
    positions = lanes_to_draw(n_tokens, seen.pos, seen.reads)
    vectors = seen.embedding[positions, :STRIP_LENGTH]
    return {
        "label": f"The forward pass of {n_tokens} tokens through {n_layers} layers",
        "n_tokens": n_tokens,
        "positions": positions,
        "tokens": [visible(seen.tokens[pos]) for pos in positions],
        "ids": [seen.asked.token_ids[pos] for pos in positions],
        "pos": seen.pos,
        "layer": seen.layer,
        "strip": {
            "values": [[_short(value) for value in vector] for vector in vectors],
            "limit": _short(color_limit(vectors)),
        },
        "layers": [
            layer_in_picture(seen, layer, positions, row) for layer, row in enumerate(seen.reads)
        ],
    }


def candidate_rows(
    candidates: Sequence[Candidate], vocab_size: int, pos: int
) -> list[dict[str, Any]]:
    """Return the next token's candidates for the picture, the best first, all others last.

    Their probabilities are those that leave the LM head, before any decoding option.
    """
    n_others = vocab_size - sum(row.token_id != OTHERS for row in candidates)
    ranked = sorted(candidates, key=lambda row: (row.token_id == OTHERS, -row.raw_probability))
    return [
        {
            "id": None if row.token_id == OTHERS else row.token_id,
            "token": f"{n_others:,} others" if row.token_id == OTHERS else row.token,
            "p": _short(row.raw_probability),
            "share": shown(PROBABILITY, row.raw_probability, pos, row.token_id),
        }
        for row in ranked
    ]


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
    seen: Seen, layer: int, positions: Sequence[int], reads: Float[np.ndarray, "pos"] | None
) -> dict[str, Any]:
    """Return what the picture needs of one layer: sizes per lane, and weights per drawn row.

    A part whose addition is not known has no sizes.
    """
    parts, sizes = seen.abilities.layers[layer].parts, seen.sizes
    shown = {"pre": sizes.resid_pre, "post": sizes.resid_post}
    if "attention" in parts:
        shown["attn"] = sizes.attn_out
    if "feedforward" in parts:
        shown["mlp"] = sizes.mlp_out
    by_lane = {
        name: [_short(value) for value in array[layer, list(positions)]]
        for name, array in shown.items()
    }
    return {**by_lane, "reads": None if reads is None else rows_of_weights(reads, positions)}


def rows_of_weights(reads: Float[np.ndarray, "pos"], positions: Sequence[int]) -> list[float]:
    """Return one weight per drawn row.

    The rows are the drawn lanes and, between them, the runs of hidden ones: those get the sum of
    the weights that they hide.
    """
    rows, next_pos = [], 0
    for position in positions:
        if position > next_pos:
            rows.append(round(float(reads[next_pos:position].sum()), 3))
        rows.append(round(float(reads[position]), 3))
        next_pos = position + 1
    return rows


def _short(value: float | np.floating) -> float:
    """Four significant digits: enough for a picture, and a fraction of the bytes."""
    return float(f"{float(value):.4g}")
