"""What did fine-tuning change? How far each weight moved, and what a share of that would predict.

Only for a pair of models of which one can be the other after more training.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.experiments.shares import (
    SCALES,
    Shares,
    changes_between,
    is_fine_tuned,
    shares_of_change,
)
from model_hooks.experiments.tuned import WeightChange
from model_hooks.host import Run
from model_hooks.opening.names import short_name
from model_hooks.read.recorded import tokens_of
from pages.ask.computed import computed
from pages.ask.pair import of_pair, runs
from pages.layers.choices import Choices
from pages.state.visit import part
from pages.text import code_span, escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.words import token_names
from viz import change_heatmap, lines_by_place, place_labels
from viz.numbers import percent

N_TOKENS = 6
ON_THEIR_OWN = 0.9
"""Two unrelated matrices of one size differ by the root of 2 times that size."""
OUTSIDE = "outside"
"""The column of weights that lie in no layer."""
HELP = (
    "B can be A after more training: both have the same weights, with other numbers. A cell is the "
    "size of the change over the size of the weights themselves (Frobenius norms): 10 % is a large "
    "step for fine-tuning."
)
SHARE_HELP = (
    "The weights are those of A plus a share of the difference B - A. At 0 this is A and at 1 it "
    "is B, bit for bit; in between a part of the change is there, and beyond 1 more of it than "
    "training made (*task arithmetic*, Ilharco et al. 2023)."
)

_is_fine_tuned = computed(is_fine_tuned)
_changes = computed(changes_between, says="Comparing all weights…")
_shares = computed(shares_of_change, says="Running models in between…")
_tokens_of = computed(tokens_of)


def draw(pos: int) -> None:
    """Draw what changed from A to B, where B can be A after more training.

    Raises:
        InlookError: There is no telling; the message says why.
    """
    a, b = runs()
    if a.model_name == b.model_name or not _is_fine_tuned(a.model_name, *b):
        return
    heading("What did fine-tuning change?", help=HELP)
    changes: tuple[WeightChange, ...] = _changes(a.model_name, *b)
    st.markdown(in_words(changes, short_name(a.model_name), short_name(b.model_name)))
    if any(one.relative != 0 for one in changes):
        _draw_changes(changes)
        _draw_shares(b, pos)


def in_words(changes: Sequence[WeightChange], a: str, b: str) -> str:
    """Say how many arrays of weights moved, and which one most."""
    moved = [one for one in changes if one.relative != 0]
    if not moved:
        return f"The weights of {escape_markdown(b)} are those of {escape_markdown(a)}: none moved."
    most = max(moved, key=lambda one: one.relative or 0.0)
    usual = float(np.median([one.relative or 0.0 for one in changes if len(one.shape) > 1]))
    apart = (
        " Half of all matrices moved by about their own size or more: as far as two models are "
        "apart that were trained on their own."
        if usual > ON_THEIR_OWN
        else ""
    )
    return (
        f"From {escape_markdown(a)} to {escape_markdown(b)}, **{len(moved)} of {len(changes)}** "
        f"arrays of weights moved; {code_span(most.name)} moved most, by "
        f"**{percent(most.relative or 0.0)}** of its size.{apart}"
    )


def table_of(
    changes: Sequence[WeightChange],
) -> tuple[Float[np.ndarray, "part column"], list[str], list[str]]:
    """Return the relative changes by part and column, NaN where there are none, and the labels."""
    layers = sorted({one.layer for one in changes if one.layer is not None})
    columns = [*map(str, layers), OUTSIDE]
    parts = list(dict.fromkeys(one.part for one in changes))
    found = np.full((len(parts), len(columns)), np.nan)
    for one in changes:
        column = OUTSIDE if one.layer is None else str(one.layer)
        value = np.nan if one.relative is None else one.relative
        found[parts.index(one.part), columns.index(column)] = value
    return found, [short_part(part) for part in parts], columns


def short_part(part: str) -> str:
    """Return the name of a kind of weights without what all have in common."""
    inside = part.rpartition("*.")[2]
    return inside.removesuffix(".weight")


def _draw_changes(changes: Sequence[WeightChange]) -> None:
    found, parts, columns = table_of(changes)
    chart(
        drawing(change_heatmap, found, parts, columns),
        key="layers_changes",
        alt="How far each array of weights moved, kinds by layers",
    )
    csv_button(lambda: pd.DataFrame(one._asdict() for one in changes), "weight_changes")


def _draw_shares(b: Run, pos: int) -> None:
    heading("With more or less of the change", help=SHARE_HELP)
    found: Shares = of_pair(_shares, pos, N_TOKENS)
    at = _pick_share()
    names = list(token_names(found.token_ids).values())
    st.markdown(at_share(found, at, names))
    labels = [f"{scale:g}" for scale in found.scales]
    chart(
        drawing(
            lines_by_place,
            labels,
            list(found.probabilities.T),
            names,
            "probability of the next token",
            at,
            "share of the change: 0 is A, 1 is B",
        ),
        key="layers_shares",
        alt="Probability of the next token by the share of the change",
    )
    tokens = [visible(token) for token in _tokens_of(b.model_name, b.token_ids)]
    chart(
        drawing(
            lines_by_place,
            place_labels(tokens, tokens),
            [found.kl_base[at]],
            [f"A with {labels[at]} of the change"],
            "KL to A (bits)",
            pos,
        ),
        key="layers_share_kl",
        alt=f"How far the predictions along the text are from A's, with {labels[at]} of the change",
    )
    csv_button(lambda: frame_of(found, names), "shares_of_change")


def at_share(found: Shares, at: int, names: Sequence[str]) -> str:
    """Say which token leads with a share of the change, and which one without it."""
    row = found.probabilities[at]
    best, first = int(row.argmax()), int(found.probabilities[0].argmax())
    word = f"**{escape_markdown(names[best])}**"
    chance = f"**{percent(float(row[best]))}**"
    said = f"With **{found.scales[at]:g}** of the change, {word} leads with {chance}"
    if best == first:
        of_a = percent(float(found.probabilities[0][best]))
        return f"{said}; in A it leads, too, with **{of_a}**."
    return f"{said}; in A it is **{escape_markdown(names[first])}**."


def frame_of(found: Shares, names: Sequence[str]) -> pd.DataFrame:
    """Return the probabilities by share, one line each, for download."""
    n_scales, n_tokens = found.probabilities.shape
    return pd.DataFrame(
        {
            "share": np.repeat(found.scales, n_tokens),
            "token_id": list(found.token_ids) * n_scales,
            "token": list(names) * n_scales,
            "probability": found.probabilities.ravel(),
        }
    )


def _pick_share() -> int:
    bind(
        st.select_slider,
        "Share of the change",
        "layers.share",
        options=range(len(SCALES)),
        format_func=lambda i: f"{SCALES[i]:g}",
    )
    return part(Choices).share
