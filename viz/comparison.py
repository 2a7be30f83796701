"""Two distributions of the next token side by side, on one scale."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme


def most_changed(
    before: Float[np.ndarray, "vocab"], after: Float[np.ndarray, "vocab"], n_tokens: int = 8
) -> Int[np.ndarray, "token"]:
    """Return the token IDs that are probable in either distribution, the most probable first."""
    return np.argsort(-np.maximum(before, after), kind="stable")[:n_tokens]


def before_after_bars(
    tokens: Sequence[str],
    before: Float[np.ndarray, "token"],
    after: Float[np.ndarray, "token"],
    change: str,
    before_name: str = "as it is",
) -> go.Figure:
    """Draw each token's probability before and after a change.

    Args:
        tokens: Labels, the first on top.
        before: Probabilities as they are.
        after: Probabilities with the change.
        change: What was changed, for the legend.
        before_name: What it was before, for the legend.
    """
    y = list(range(len(tokens)))
    figure = go.Figure()
    for name, values, colour, pattern in (
        (before_name, before, theme.RESIDUAL, ""),
        (change, after, theme.HIGHLIGHT, "/"),
    ):
        figure.add_bar(
            x=values,
            y=y,
            orientation="h",
            name=name,
            marker={"color": colour, "pattern": {"shape": pattern, "size": 5}},
            customdata=[theme.shorten(token, 40) for token in tokens],
            hovertemplate=f"%{{customdata}}, {name}: %{{x:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title="probability", tickformat="~%", rangemode="tozero", fixedrange=True)
    figure.update_yaxes(
        title="next token", autorange="reversed", fixedrange=True, **theme.token_axis(tokens)
    )
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    return theme.fit_rows(figure, len(tokens), above=40)


def probability_by_token(
    tokens: Sequence[str],
    first: Float[np.ndarray, "pos"],
    second: Float[np.ndarray, "pos"],
    names: tuple[str, str],
    start: int = 0,
) -> go.Figure:
    """Draw the probability that two models gave to each token of a text before they saw it.

    Args:
        tokens: The tokens that were predicted.
        first: What the first model gave them.
        second: What the second model gave them.
        names: The two models.
        start: Position of the first token.
    """
    labels = theme.position_labels(tokens, start)
    figure = go.Figure()
    for name, values, colour, symbol, dash in (
        (names[0], first, theme.QUERY, "circle", "solid"),
        (names[1], second, theme.KEY, "square", "dash"),
    ):
        figure.add_scatter(
            x=labels, y=values, name=name, mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 1}, marker={"symbol": symbol, "size": 8},
            hovertemplate=f"%{{x}}<br>{theme.shorten(name, 40)} gave it %{{y:.2%}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title="token that came next", type="category", fixedrange=True, tickangle=-60
    )
    figure.update_yaxes(
        title="probability before it came", tickformat=".0%", range=[0, 1.02], fixedrange=True
    )
    return figure.update_layout(
        height=380, margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
