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
) -> go.Figure:
    """Draw each token's probability before and after a change.

    Args:
        tokens: Labels, the first on top.
        before: Probabilities as they are.
        after: Probabilities with the change.
        change: What was changed, for the legend.
    """
    y = list(range(len(tokens)))
    figure = go.Figure()
    for name, values, colour, pattern in (
        ("as it is", before, theme.RESIDUAL, ""),
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
    figure.update_xaxes(title="probability", tickformat=".0%", rangemode="tozero", fixedrange=True)
    figure.update_yaxes(
        title="next token", autorange="reversed", fixedrange=True, **theme.token_axis(tokens)
    )
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    return theme.fit_rows(figure, len(tokens), above=40)
