"""What could come next? The candidates for a token, before and after the decoding options."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from viz import axes, theme
from viz.axes import shares
from viz.figure import Figure
from viz.layout import Part, legend, row_sizes
from viz.marks import Mark, always, rows_of_bars, said
from viz.numbers import percent, three_digits

OTHERS = -1
"""Stands for "all other tokens" where a token ID is expected."""

_LEGEND_PX = 44
_LABEL_LENGTH = 18
_STAGE_NAMES = {
    "repetition_penalty": "repetition penalty",
    "no_repeat_ngram_size": "no-repeat n-gram size",
    "model_rules": "the model's rules",
}


@runtime_checkable
class Stage(Protocol):
    """A distribution over the whole vocabulary, as one stage of decoding leaves it."""

    @property
    def name(self) -> str:
        """`raw`, or the option that made it."""
        ...

    @property
    def scores(self) -> Float[np.ndarray, "vocab"]:
        """Minus infinity where a filter removed the token."""
        ...

    @property
    def probabilities(self) -> Float[np.ndarray, "vocab"]:
        """Softmax of the scores; they sum to one."""
        ...


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
    """Score after the temperature; None for a token that was removed before."""
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
    raw, final = stages[0].scores, stages[-1].scores
    n_candidates = min(n_candidates, len(raw))
    shown = {*_largest(raw, n_candidates), *_largest(final, n_candidates)}
    if chosen is not None:
        shown.add(chosen)
    # By raw logit, and by ID among equals, so that rows hold still while options change.
    ids = sorted(shown, key=lambda i: (-raw[i], i))
    found = [_candidate(stages, i, token(i)) for i in ids]
    others = np.ones(len(raw), dtype=bool)
    others[ids] = False
    return [*found, _all_others(stages, others)] if others.any() else found


def _candidate(stages: Sequence[Stage], i: int, token: str) -> Candidate:
    raw, final = stages[0], stages[-1]
    by_name = {stage.name: stage for stage in stages}
    penalised = by_name.get("repetition_penalty", raw)
    tempered = by_name.get("temperature", penalised)
    return Candidate(
        token_id=i,
        token=token,
        rank=int((raw.scores > raw.scores[i]).sum()) + 1,
        logit=float(raw.scores[i]),
        penalised=float(penalised.scores[i]),
        tempered=None if np.isneginf(tempered.scores[i]) else float(tempered.scores[i]),
        removed_by=next((s.name for s in stages if np.isneginf(s.scores[i])), None),
        raw_probability=float(raw.probabilities[i]),
        probability=float(final.probabilities[i]),
    )


def _all_others(stages: Sequence[Stage], others: Bool[np.ndarray, "vocab"]) -> Candidate:
    n_others = int(others.sum())
    return Candidate(
        token_id=OTHERS,
        token=f"all other {n_others:,} tokens" if n_others > 1 else "the one other token",
        rank=None,
        logit=None,
        penalised=None,
        tempered=None,
        removed_by=next((s.name for s in stages if np.isneginf(s.scores[others]).all()), None),
        raw_probability=float(stages[0].probabilities[others].sum()),
        probability=float(stages[-1].probabilities[others].sum()),
    )


def candidates_bars(
    rows: Sequence[Candidate], chosen: int | None = None, *, chosen_is: str = "picked"
) -> Figure:
    """Draw candidates as horizontal bars: the model's own probability and what decoding made of it.

    Removed tokens keep their row, struck out. A click anywhere on a row returns its token ID as
    `customdata` (`OTHERS` for the last one).

    Args:
        rows: From `candidates`.
        chosen: The token ID that was taken: marked with a triangle, bold, in another colour.
        chosen_is: What the legend calls it.
    """
    marks = [*candidate_marks(rows, chosen, chosen_is), _click_targets(rows)]
    return Figure(marks, candidate_layout(rows, chosen))


def candidate_marks(
    rows: Sequence[Candidate], chosen: int | None, chosen_is: str = "picked"
) -> list[Mark]:
    """Return the bars of `candidates_bars` and what is written beside them, without hovers."""
    raw = [row.raw_probability for row in rows]
    final = [row.probability for row in rows]
    picked = [i for i, row in enumerate(rows) if row.token_id == chosen]
    thin = {"width": 0.5, "hoverinfo": "skip", **always(1)}
    stripes = {"shape": "/", "size": 6, "fillmode": "overlay", "solidity": 0.2}
    taken = {"name": chosen_is, "y": picked, "showlegend": bool(picked), **thin}
    return [
        _own_bars(raw),
        rows_of_bars(final, theme.QUERY, name="after the options", **thin),
        rows_of_bars([final[i] for i in picked], theme.HIGHLIGHT, stripes, **taken),
        _outcomes(rows),
    ]


def _own_bars(raw: Sequence[float]) -> Mark:
    rim = {"color": theme.RESIDUAL, "width": 1}
    wide = {"name": "the model's own", "width": 0.86, "hoverinfo": "skip", **always(1)}
    return rows_of_bars(raw, theme.MASKED, rim=rim, **wide)


def _outcomes(rows: Sequence[Candidate]) -> Mark:
    """What became of each candidate: at the end of its bar, or in a column where it has two."""
    moved = _are_moved(rows)
    return {
        "type": "scatter",
        "mode": "text",
        "x": [_width(rows) if moved else row.probability for row in rows],
        "y": list(range(len(rows))),
        "text": [f" {_outcome(row, moved)}" for row in rows],
        "textposition": "middle left" if moved else "middle right",
        "textfont": {"size": 14},
        "cliponaxis": False,
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _click_targets(rows: Sequence[Candidate]) -> Mark:
    """Bars over the whole width that nobody sees: a click anywhere on a row counts."""
    bars = rows_of_bars(
        [_width(rows)] * len(rows),
        None,
        width=1,
        showlegend=False,
        customdata=[row.token_id for row in rows],
        **said(map(_hover, rows)),
        **always(0),
    )
    return {**bars, "marker": {"opacity": 0}}


def candidate_layout(rows: Sequence[Candidate], chosen: int | None) -> Part:
    """Return the layout of `candidates_bars`."""
    return {
        "xaxis": shares("probability", _width(rows)),
        "yaxis": _label_axis(candidate_labels(rows, chosen)),
        "barmode": "overlay",
        "bargap": 0,
        "dragmode": False,
        "legend": legend(traceorder="normal"),
        **row_sizes(len(rows), above=_LEGEND_PX),
    }


def _label_axis(labels: Sequence[str]) -> Part:
    return axes.rows(labels, "candidate token", tickfont={"size": 14}, showgrid=False)


def _width(rows: Sequence[Candidate]) -> float:
    """The right end of the axis: room for what is written beside the longest bar."""
    longest = max(max(row.raw_probability, row.probability) for row in rows)
    return longest * (1.9 if _are_moved(rows) else 1.25) or 1.0


def stage_name(name: str) -> str:
    """Write the name of a stage for people: `top_k` is top-k."""
    return _STAGE_NAMES.get(name, name.replace("_", "-"))


def _largest(scores: Float[np.ndarray, "vocab"], n: int) -> list[int]:
    """IDs of the n largest scores, without those removed."""
    ids = np.argpartition(-scores, n - 1)[:n] if n < len(scores) else np.arange(len(scores))
    return [int(i) for i in ids if not np.isneginf(scores[i])]


def candidate_labels(rows: Sequence[Candidate], chosen: int | None) -> list[str]:
    """Return what stands beside each row of `candidates_bars`."""
    return [_label(row, row.token_id == chosen) for row in rows]


def _label(row: Candidate, is_chosen: bool) -> str:
    if row.token_id == OTHERS:
        return f"<i>{row.token}</i>"
    text = theme.shorten(row.token, _LABEL_LENGTH)
    if row.removed_by:
        text = f"<s>{text}</s>"
    return f"▶ <b>{text}</b>" if is_chosen else text


def _are_moved(rows: Sequence[Candidate]) -> bool:
    """Whether the options change what is drawn: then the two bars of a row differ."""
    return any(percent(row.raw_probability) != percent(row.probability) for row in rows)


def _outcome(row: Candidate, moved: bool) -> str:
    if row.removed_by:
        return f"removed by {stage_name(row.removed_by)}"
    own, final = percent(row.raw_probability), percent(row.probability)
    return f"{own} → {final}" if moved else final


def _hover(row: Candidate) -> str:
    lines = [f"<b>{theme.shorten(row.token, 40)}</b>"]
    if row.logit is not None:
        lines[0] += f"  ID {row.token_id}"
        lines.append(f"logit {three_digits(row.logit)}, rank {row.rank:,} before the options")
    lines.append(f"the model's own probability: {percent(row.raw_probability)}")
    lines.append(f"after the options: {percent(row.probability)}")
    if row.removed_by:
        lines.append(f"removed by {stage_name(row.removed_by)}")
    return "<br>".join(lines)
