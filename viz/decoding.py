"""Figures of one choice: the candidates for a token, before and after the decoding options."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

FILTERS = ("top_k", "top_p", "min_p")
"""Stages that remove tokens; the others only change scores."""
OTHERS = -1
"""Stands for "all other tokens" where a token ID is expected."""

_LEGEND_PX = 44
_LABEL_LENGTH = 18


@runtime_checkable
class Stage(Protocol):
    """A distribution over the whole vocabulary, as one stage of decoding leaves it."""

    name: str
    scores: Float[np.ndarray, "vocab"]
    probabilities: Float[np.ndarray, "vocab"]


class Candidate(NamedTuple):
    """One row: a token of the vocabulary, or all the tokens that have no row of their own."""

    token_id: int
    """`OTHERS` in the row of all others."""
    token: str
    """For display, spaces made visible."""
    rank: int | None
    """Place among the logits, from 1; None in the row of all others."""
    logit: float | None
    penalised: float | None
    """Score after the repetition penalty."""
    tempered: float | None
    """Score after the temperature."""
    removed_by: str | None
    """The filter that took the token out, None if it is still in."""
    raw_probability: float
    """Softmax of the logits."""
    probability: float
    """After all stages; what a token is drawn with."""


def candidates(
    stages: Sequence[Stage],
    token: Callable[[int], str],
    *,
    n_candidates: int = 10,
    chosen: int | None = None,
) -> list[Candidate]:
    """Collect the rows of the figure and of the table: their probabilities sum to one.

    Args:
        stages: From the raw logits to the distribution that a token is picked from.
        token: Gives the display string of a token ID.
        n_candidates: Rows for the most probable tokens, before and after decoding. Where the two
            disagree, there are a few more.
        chosen: A token ID that gets a row in any case.

    Returns:
        The candidates by falling logit; where any token is left, a last row for all others.
    """
    raw, final = stages[0], stages[-1]
    vocab_size = len(raw.scores)
    n_candidates = min(n_candidates, vocab_size)
    shown = set(_largest(raw.scores, n_candidates)) | set(_largest(final.scores, n_candidates))
    if chosen is not None:
        shown.add(chosen)
    # By raw logit, and by ID among equals, so that rows hold still while options change.
    ids = sorted(shown, key=lambda i: (-raw.scores[i], i))
    by_name = {stage.name: stage for stage in stages}
    penalised = by_name.get("repetition_penalty", raw)
    tempered = by_name.get("temperature", penalised)
    rows = [
        Candidate(
            token_id=i,
            token=token(i),
            rank=int((raw.scores > raw.scores[i]).sum()) + 1,
            logit=float(raw.scores[i]),
            penalised=float(penalised.scores[i]),
            tempered=float(tempered.scores[i]),
            removed_by=next((s.name for s in stages if np.isneginf(s.scores[i])), None),
            raw_probability=float(raw.probabilities[i]),
            probability=float(final.probabilities[i]),
        )
        for i in ids
    ]
    n_others = vocab_size - len(ids)
    if n_others == 0:
        return rows
    others = np.ones(vocab_size, dtype=bool)
    others[ids] = False
    name = f"all other {n_others:,} tokens" if n_others > 1 else "the one other token"
    removed_by = next((s.name for s in stages if np.isneginf(s.scores[others]).all()), None)
    return [
        *rows,
        Candidate(
            OTHERS, name, None, None, None, None, removed_by,
            float(raw.probabilities[others].sum()), float(final.probabilities[others].sum()),
        ),
    ]  # fmt: skip


def candidates_bars(
    rows: Sequence[Candidate], chosen: int | None = None, *, chosen_is: str = "picked"
) -> go.Figure:
    """Draw candidates as horizontal bars: the model's own probability and what decoding made of it.

    Removed tokens keep their row, struck out. A click anywhere on a row returns its token ID as
    `customdata` (`OTHERS` for the last one).

    Args:
        rows: From `candidates`.
        chosen: The token ID that was taken: marked with a triangle, bold, in another colour.
        chosen_is: What the legend calls it.
    """
    y = list(range(len(rows)))
    raw = [row.raw_probability for row in rows]
    final = [row.probability for row in rows]
    full = max([*raw, *final]) * 1.25 or 1.0
    picked = [i for i in y if rows[i].token_id == chosen]
    solid = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}
    clear = {"selected": {"marker": {"opacity": 0}}, "unselected": {"marker": {"opacity": 0}}}
    # Dictionaries, and the layout in one go: half the time of go.Bar and update_layout.
    figure = go.Figure(
        [
            {
                "type": "bar", "name": "the model's own", "x": raw, "y": y, "width": 0.86,
                "orientation": "h", "hoverinfo": "skip",
                "marker": {"color": theme.MASKED, "line": {"color": theme.RESIDUAL, "width": 1}},
                **solid,
            },
            {
                "type": "bar", "name": "after the options", "x": final, "y": y, "width": 0.5,
                "orientation": "h", "hoverinfo": "skip", "marker": {"color": theme.QUERY}, **solid,
            },
            {
                "type": "bar", "name": chosen_is, "x": [final[i] for i in picked], "y": picked,
                "width": 0.5, "orientation": "h", "hoverinfo": "skip", "showlegend": bool(picked),
                "marker": {
                    "color": theme.HIGHLIGHT,
                    "pattern": {"shape": "/", "size": 6, "fillmode": "overlay", "solidity": 0.2},
                },
                **solid,
            },
            {
                "type": "scatter", "mode": "text", "y": y, "showlegend": False,
                "x": [max(a, b) for a, b in zip(raw, final, strict=True)],
                "text": [f" {_outcome(row)}" for row in rows], "textposition": "middle right",
                "textfont": {"size": 13}, "cliponaxis": False, "hoverinfo": "skip",
            },
            {
                "type": "bar", "x": [full] * len(rows), "y": y, "width": 1, "orientation": "h",
                "showlegend": False, "marker": {"opacity": 0},
                "customdata": [row.token_id for row in rows],
                "hovertext": [_hover(row) for row in rows],
                "hovertemplate": "%{hovertext}<extra></extra>", **clear,
            },
        ],
        {
            "barmode": "overlay", "bargap": 0, "dragmode": False,
            "legend": {
                "orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal",
            },
            "xaxis": {
                "title": {"text": "probability"}, "range": [0, full], "tickformat": "~%",
                "fixedrange": True,
            },
            "yaxis": {
                "title": {"text": "candidate token"}, "range": [len(rows) - 0.5, -0.5],
                "tickmode": "array", "tickvals": y, "tickfont": {"size": 14},
                "ticktext": [_label(row, row.token_id == chosen) for row in rows],
                "fixedrange": True, "showgrid": False,
            },
        },
    )  # fmt: skip
    return theme.fit_rows(figure, len(rows), above=_LEGEND_PX)


def percent(probability: float) -> str:
    """Write a probability with three significant digits, and never a false 0 % or 100 %."""
    if probability in (0, 1):
        return f"{probability * 100:.0f} %"
    if probability < 1e-6:
        return f"{probability * 100:.0e} %"
    digits = max(1, 2 - int(np.floor(np.log10(probability * 100))))
    shown = f"{probability * 100:.{digits}f}"
    return ">99.9 %" if float(shown) == 100 else f"{shown} %"


def stage_name(name: str) -> str:
    """Write the name of a stage for people: `top_k` is top-k."""
    return name.replace("repetition_", "repetition ").replace("_", "-")


def _largest(scores: Float[np.ndarray, "vocab"], n: int) -> list[int]:
    """IDs of the n largest scores, without those removed."""
    ids = np.argpartition(-scores, n - 1)[:n] if n < len(scores) else np.arange(len(scores))
    return [int(i) for i in ids if not np.isneginf(scores[i])]


def _label(row: Candidate, is_chosen: bool) -> str:
    if row.token_id == OTHERS:
        return f"<i>{row.token}</i>"
    text = theme.shorten(row.token, _LABEL_LENGTH)
    if row.removed_by:
        text = f"<s>{text}</s>"
    return f"▶ <b>{text}</b>" if is_chosen else text


def _outcome(row: Candidate) -> str:
    if row.removed_by:
        return f"removed by {stage_name(row.removed_by)}"
    return percent(row.probability)


def _hover(row: Candidate) -> str:
    lines = [f"<b>{theme.shorten(row.token, 40)}</b>"]
    if row.token_id != OTHERS:
        lines[0] += f"  ID {row.token_id}"
        lines.append(f"logit {row.logit:.4f}, rank {row.rank:,}")
    lines.append(f"the model's own probability: {row.raw_probability:.6f}")
    lines.append(f"after the options: {row.probability:.6f}")
    if row.removed_by:
        lines.append(f"removed by {stage_name(row.removed_by)}")
    return "<br>".join(lines)
