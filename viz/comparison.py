"""What does a change do to a prediction? Two distributions side by side, on one scale."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from viz import theme
from viz.axes import fixed, shares, token_axis
from viz.figure import Figure
from viz.layout import legend, row_sizes
from viz.marks import hover, marked_line, rows_of_bars
from viz.numbers import percent


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
) -> Figure:
    """Draw each token's probability before and after a change.

    Args:
        tokens: Labels, the first on top.
        before: Probabilities as they are.
        after: Probabilities with the change.
        change: What was changed, for the legend.
        before_name: What it was before, for the legend.
    """
    names = [theme.shorten(token, 40) for token in tokens]
    bars = [
        rows_of_bars(
            values,
            colour,
            {"shape": pattern, "size": 5},
            name=name,
            customdata=names,
            hovertext=list(map(percent, values.tolist())),
            hovertemplate=hover(f"%{{customdata}}, {name}: %{{hovertext}}"),
        )
        for name, values, colour, pattern in (
            (before_name, before, theme.RESIDUAL, ""),
            (change, after, theme.HIGHLIGHT, "/"),
        )
    ]
    top = 1.05 * max(before.max(initial=0), after.max(initial=0)) or 1.0
    layout = {
        "xaxis": shares("probability", top),
        "yaxis": fixed("next token", autorange="reversed", **token_axis(tokens)),
        "legend": legend(),
        **row_sizes(len(tokens), above=40),
    }
    return Figure(bars, layout)


def probability_by_token(
    tokens: Sequence[str],
    first: Float[np.ndarray, "pos"],
    second: Float[np.ndarray, "pos"],
    names: tuple[str, str],
    start: int = 0,
) -> Figure:
    """Draw the probability that two models gave to each token of a text before they saw it.

    Args:
        tokens: The tokens that were predicted.
        first: What the first model gave them.
        second: What the second model gave them.
        names: The two models.
        start: Position of the first token.
    """
    labels = theme.position_labels(tokens, start)
    lines = []
    for name, values, look in zip(names, (first, second), theme.LOOKS, strict=False):
        template = hover(f"%{{x}}<br>{theme.shorten(name, 40)} gave it %{{text}}")
        told = {
            "name": name,
            "text": list(map(percent, values.tolist())),
            "hovertemplate": template,
        }
        lines.append(marked_line(labels, values, look, width=1, **told))
    layout = {
        "xaxis": fixed("token that came next", type="category", tickangle=-60),
        "yaxis": shares("probability before it came", 1.02),
        "height": 380,
        "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
        "legend": legend(),
    }
    return Figure(lines, layout)
