"""What could the next token be? The candidates as a chart to click on and as a table of stages."""

import html
from collections.abc import Callable, Sequence

import streamlit as st

from model_hooks import Decoding, Stage
from pages.widgets.chart import Point, chart
from pages.widgets.drawing import drawing
from pages.widgets.words import token_name
from viz import candidates, candidates_bars
from viz.decoding import OTHERS, Candidate, stage_name
from viz.numbers import percent

N_CANDIDATES = 10
NO_NUMBERS = (
    "After this token the model computes values that are not numbers (NaN), so there is nothing "
    "to choose from. Its weights look damaged: choose another model in the sidebar."
)


def rows_of(stages: Sequence[Stage], chosen: int | None = None) -> list[Candidate]:
    """Return the candidates of a choice of the selected model; their probabilities sum to one.

    Args:
        stages: From the raw logits to the distribution that a token is picked from.
        chosen: A token ID that gets a row in any case.
    """
    return candidates(stages, token_name, n_candidates=N_CANDIDATES, chosen=chosen)


def candidate_chart(
    rows: Sequence[Candidate],
    chosen: int | None,
    *,
    key: str,
    view: str,
    what: str = "Candidates",
    chosen_is: str = "picked",
    on_click: Callable[[int], None] | None = None,
) -> None:
    """Draw candidates as bars.

    Args:
        rows: From `rows_of`.
        chosen: The token ID that is marked.
        key: The chart's key.
        view: What the axes show, as in `chart`.
        what: What a screen reader calls them.
        chosen_is: What the legend calls the marked one.
        on_click: Called with the token ID of a row that was clicked.
    """

    def clicked(point: Point) -> None:
        if on_click is not None and point.customdata != OTHERS:
            on_click(int(point.customdata))

    chart(
        drawing(candidates_bars, rows, chosen, chosen_is=chosen_is),
        key=key,
        on_click=clicked if on_click is not None else None,
        view=view,
        alt=f"{what}: " + ", ".join(f"{row.token} {percent(row.probability)}" for row in rows),
    )


def candidate_table(rows: Sequence[Candidate], decoding: Decoding, chosen: int | None) -> None:
    """Show what each stage made of each candidate, in numbers.

    Args:
        rows: From `rows_of`.
        decoding: The options of the stages.
        chosen: The token ID that is marked.
    """
    st.html(table_html(rows, decoding, chosen))


def table_html(rows: Sequence[Candidate], decoding: Decoding, chosen: int | None) -> str:
    """Write the table of `candidate_table`; whatever a token is called is shown as it stands."""
    penalty = any(option.name == "repetition_penalty" for option, _ in decoding.active())
    head = "".join(f"<th scope='col'>{cell}</th>" for cell in _headings(decoding, penalty))
    body = "".join(_row(row, penalty, row.token_id == chosen) for row in rows)
    total = sum(row.probability for row in rows)
    raw_total = sum(row.raw_probability for row in rows)
    foot = (
        "<th scope='row' colspan='4'>Sum</th>"
        f"<td>{percent(round(raw_total, 9))}</td>"
        f"<td colspan='{3 if penalty else 2}'></td>"
        f"<td>{percent(round(total, 9))}</td>"
    )
    return (
        f"<div class='stages'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        f"<tfoot><tr>{foot}</tr></tfoot></table></div>"
    )


def _headings(decoding: Decoding, penalty: bool) -> list[str]:
    sampling = decoding.strategy == "sample"
    divisor = f"÷ {decoding.temperature:g}" if sampling else "not used: greedy"
    filters = " · ".join(decoding.filters())
    after_penalty = f"After penalty<small>{decoding.repetition_penalty:g}</small>"
    return [
        *("Token", "ID", "Model's own rank", "Logit", "Model's own probability"),
        *([after_penalty] if penalty else []),
        f"After temperature<small>{divisor}</small>",
        f"After filters<small>{filters or 'none on'}</small>",
        "Final probability",
    ]


def _row(row: Candidate, penalty: bool, is_chosen: bool) -> str:
    cells = [
        "" if row.token_id == OTHERS else str(row.token_id),
        _number(row.rank, ",d"),
        _number(row.logit, ".3f"),
        percent(row.raw_probability),
        *([_number(row.penalised, ".3f")] if penalty else []),
        _number(row.tempered, ".3f"),
        f"removed by {stage_name(row.removed_by)}"
        if row.removed_by
        else _number(row.tempered, ".3f"),
        percent(row.probability),
    ]
    states = {"chosen": is_chosen, "removed": row.removed_by is not None}
    classes = " ".join(name for name, holds in states.items() if holds)
    numbers = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr class='{classes}'><th scope='row'>{_name(row, is_chosen)}</th>{numbers}</tr>"


def _name(row: Candidate, is_chosen: bool) -> str:
    name = html.escape(row.token)
    name = f"<i>{name}</i>" if row.token_id == OTHERS else f"<code>{name}</code>"
    if row.removed_by:
        name = f"<s>{name}</s>"
    return f"▶ {name}" if is_chosen else name


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)
