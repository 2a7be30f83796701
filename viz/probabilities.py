"""The next token's probabilities as one plain bar chart, straight from the model."""

from collections.abc import Sequence

import plotly.graph_objects as go

from viz import theme
from viz.decoding import OTHERS, Candidate, percent

LABEL_LENGTH = 18


def next_token_bars(rows: Sequence[Candidate]) -> go.Figure:
    """Draw the model's own probabilities of the next token; the bars sum to one.

    `candidates_bars` adds what decoding options make of them.

    Args:
        rows: From `candidates`; the last one stands for all other tokens of the vocabulary.
    """
    y = list(range(len(rows)))
    values = [row.raw_probability for row in rows]
    is_others = [row.token_id == OTHERS for row in rows]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=y,
            orientation="h",
            marker={
                "color": [theme.RESIDUAL if others else theme.QUERY for others in is_others],
                "pattern": {"shape": ["/" if others else "" for others in is_others], "size": 5},
            },
            text=[percent(value) for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertext=[
                row.token
                if others
                else f"{theme.shorten(row.token, 40)}  ID {row.token_id}<br>"
                f"logit {row.logit:.4f}, rank {row.rank:,}"
                for row, others in zip(rows, is_others, strict=True)
            ],
            hovertemplate="%{hovertext}<br>probability %{x:.6f}<extra></extra>",
        )
    )
    figure.update_xaxes(
        title="probability", range=[0, 1.25 * max(values)], tickformat="~%", fixedrange=True
    )
    figure.update_yaxes(
        title="next token", range=[len(rows) - 0.5, -0.5], tickmode="array", tickvals=y,
        ticktext=[
            f"<i>{row.token}</i>" if others else theme.shorten(row.token, LABEL_LENGTH)
            for row, others in zip(rows, is_others, strict=True)
        ],
        fixedrange=True, showgrid=False,
    )  # fmt: skip
    return theme.fit_rows(figure, len(rows))
