"""What comes next, straight from the model? The next token's probabilities as one bar chart."""

from collections.abc import Sequence

from viz import axes, theme
from viz.axes import shares
from viz.decoding import OTHERS, Candidate
from viz.figure import Figure
from viz.layout import row_sizes
from viz.marks import beside, hatched, hover, rows_of_bars
from viz.numbers import percent, three_digits

LABEL_LENGTH = 18


def next_token_bars(rows: Sequence[Candidate]) -> Figure:
    """Draw the model's own probabilities of the next token; the bars sum to one.

    `candidates_bars` adds what decoding options make of them.

    Args:
        rows: From `candidates`; the last one stands for all other tokens of the vocabulary.
    """
    values = [row.raw_probability for row in rows]
    is_others = [row.token_id == OTHERS for row in rows]
    bars = rows_of_bars(
        values,
        [theme.RESIDUAL if others else theme.QUERY for others in is_others],
        hatched(is_others, 5),
        hovertext=list(map(_hover, rows)),
        hovertemplate=hover("%{hovertext}<br>probability %{text}"),
        **beside(map(percent, values)),
    )
    layout = {
        "xaxis": shares("probability", 1.25 * max(values)),
        "yaxis": axes.rows(map(_label, rows), "next token", showgrid=False),
        **row_sizes(len(rows)),
    }
    return Figure(bars, layout)


def _label(row: Candidate) -> str:
    is_others = row.token_id == OTHERS
    return f"<i>{row.token}</i>" if is_others else theme.shorten(row.token, LABEL_LENGTH)


def _hover(row: Candidate) -> str:
    if row.logit is None:
        return row.token
    name = f"{theme.shorten(row.token, 40)}  ID {row.token_id}"
    return f"{name}<br>logit {three_digits(row.logit)}, rank {row.rank:,}"
