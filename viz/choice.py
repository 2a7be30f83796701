"""Figures of a whole distribution: every token by rank, its entropy, and draws from it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Int

from viz import theme
from viz.decoding import percent

N_FIRST = 100
"""Ranks that all have a mark of their own; beyond, marks are spread evenly over the log axis."""
N_SPREAD = 200
MASS = 0.95
"""Share of all repetitions in which a count lies inside its expected range."""


def ranked_distribution(
    raw: Float[np.ndarray, "vocab"],
    final: Float[np.ndarray, "vocab"],
    token: Callable[[int], str],
    *,
    chosen: int | None = None,
) -> go.Figure:
    """Draw the probability of every token by rank, both on a log scale, and where filters cut.

    Args:
        raw: The model's own probabilities.
        final: After all options; 0 for removed tokens.
        token: Gives the display string of a token ID.
        chosen: A token ID to mark.
    """
    order = np.argsort(-raw, kind="stable")
    kept = final[order] > 0
    ranks = marked_ranks(len(order))
    if chosen is not None:
        ranks = np.union1d(ranks, [int(np.flatnonzero(order == chosen)[0]) + 1])
    ids = order[ranks - 1]
    up_to = np.cumsum(raw[order])[ranks - 1]
    names = [theme.shorten(token(int(i)), 40) for i in ids]
    hovers = [
        f"<b>{name}</b>  rank {rank:,}<br>the model's own: {percent(float(raw[i]))}<br>"
        f"after the options: {percent(float(final[i]))}<br>"
        f"all up to here: {percent(round(float(total), 9))}"
        for name, rank, i, total in zip(names, ranks, ids, up_to, strict=True)
    ]
    inside = kept[ranks - 1]
    changed = inside & (not np.allclose(final, raw, rtol=1e-6, atol=0))
    traces = []
    for name, which, values, colour, symbol in (
        ("kept: the model's own", inside, raw, theme.QUERY, "circle"),
        ("removed by a filter", ~inside, raw, theme.RESIDUAL, "x-thin-open"),
        ("kept: after the options", changed, final, theme.HIGHLIGHT, "diamond-open"),
    ):
        if not which.any():
            continue
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": name, "x": ranks[which],
                "y": values[ids[which]], "marker": {"color": colour, "symbol": symbol, "size": 6},
                "hovertext": [hovers[i] for i in np.flatnonzero(which)],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )  # fmt: skip
    shapes, notes = [], []
    if (edge := cut_off(kept)) is not None:
        shapes.append(
            {
                "type": "line", "xref": "x", "yref": "paper", "x0": edge + 0.5, "x1": edge + 0.5,
                "y0": 0, "y1": 1, "line": {"color": theme.HIGHLIGHT, "width": 2, "dash": "dash"},
            }
        )  # fmt: skip
        left = math.log10(edge + 0.5) > 0.6 * math.log10(len(order))
        tokens = "token" if edge == 1 else "tokens"
        notes.append(
            {
                "x": math.log10(edge + 0.5), "xref": "x", "y": 1, "yref": "paper",
                "yanchor": "top", "showarrow": False, "xanchor": "right" if left else "left",
                "text": f" cut-off: {edge:,} {tokens} left, "
                f"{percent(round(float(raw[order[:edge]].sum()), 9))} of the probability ",
            }
        )  # fmt: skip
    if chosen is not None:
        rank = int(np.flatnonzero(order == chosen)[0]) + 1
        if raw[chosen] > 0:
            notes.append(
                {
                    "x": math.log10(rank), "y": math.log10(raw[chosen]), "arrowhead": 2,
                    "ax": 36, "ay": -28, "xanchor": "left", "arrowcolor": theme.QUERY,
                    "text": f"<b>{theme.shorten(token(chosen))}</b>",
                }
            )  # fmt: skip
    return go.Figure(
        traces,
        {
            "height": 400, "margin": {"t": 44, "b": 50, "r": 10}, "shapes": shapes,
            "annotations": notes,
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
            "xaxis": {
                "title": {"text": f"rank among all {len(order):,} tokens (log scale)"},
                "type": "log", "range": [-0.08, math.log10(len(order)) + 0.08], "dtick": 1,
                "tickformat": ",d",
            },
            "yaxis": {
                "title": {"text": "probability (log scale)"}, "type": "log",
                "exponentformat": "power", "nticks": 8,
            },
        },
    )  # fmt: skip


def marked_ranks(n_tokens: int) -> Int[np.ndarray, "mark"]:
    """Return the ranks that get a mark, from 1: the first all, the others evenly in the log."""
    spread = np.geomspace(1, n_tokens, N_SPREAD).round().astype(np.int64)
    return np.union1d(np.arange(1, min(N_FIRST, n_tokens) + 1), spread)


def cut_off(kept: Bool[np.ndarray, "rank"]) -> int | None:
    """Return how many of the most probable tokens stay, where exactly those do.

    None where nothing was removed, or where the repetition penalty changed the order first.
    """
    n_kept = int(kept.sum())
    return n_kept if n_kept < len(kept) and kept[:n_kept].all() else None


def entropy_by_temperature(
    temperatures: Float[np.ndarray, "temperature"],
    free: Float[np.ndarray, "temperature"],
    filtered: Float[np.ndarray, "temperature"] | None,
    *,
    temperature: float,
    entropy: float,
    n_tokens: int,
    filters: str = "",
) -> go.Figure:
    """Draw the entropy of one prediction at every temperature.

    Args:
        temperatures: Where it was computed.
        free: In bits, without filters.
        filtered: With the filters that are on; None if none is.
        temperature: The current one.
        entropy: The entropy at it, in bits.
        n_tokens: Size of the vocabulary, whose logarithm is the most entropy there can be.
        filters: Names of the filters, for the legend.
    """
    most = math.log2(n_tokens)
    curves = [("temperature alone", free, theme.QUERY, "solid")]
    if filtered is not None:
        curves.append((f"and {filters}", filtered, theme.KEY, "dash"))
    traces = [
        go.Scatter(
            x=temperatures, y=values, name=name, mode="lines",
            line={"color": colour, "dash": dash, "width": 3}, customdata=2.0**values,
            hovertemplate="temperature %{x:.2f}: %{y:.2f} bits<br>"
            f"like a fair draw among %{{customdata:,.1f}} tokens<extra>{name}</extra>",
        )
        for name, values, colour, dash in curves
    ]  # fmt: skip
    traces.append(
        go.Scatter(
            x=[temperature], y=[entropy], name="now", mode="markers+text",
            marker={"color": theme.HIGHLIGHT, "size": 14, "symbol": "diamond"},
            text=[f"<b>{entropy:.2f} bits</b>"], textposition="bottom right",
            hovertemplate=f"now: temperature {temperature:g}, {entropy:.3f} bits<extra></extra>",
        )
    )  # fmt: skip
    line = {"type": "line", "line": {"color": theme.RESIDUAL, "dash": "dot", "width": 1}}
    return go.Figure(
        traces,
        {
            "height": 380, "margin": {"t": 44, "b": 50, "r": 10},
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
            "shapes": [
                {**line, "xref": "paper", "x0": 0, "x1": 1, "y0": most, "y1": most},
                {**line, "yref": "paper", "y0": 0, "y1": 1, "x0": temperature, "x1": temperature},
            ],
            "annotations": [
                {
                    "xref": "paper", "x": 0, "y": most, "yanchor": "top", "showarrow": False,
                    "text": f"{most:.1f} bits: all {n_tokens:,} tokens equally probable",
                }
            ],
            "xaxis": {"title": {"text": "temperature"}, "fixedrange": True},
            "yaxis": {
                "title": {"text": "entropy (bits)"}, "range": [0, most * 1.04], "fixedrange": True,
            },
        },
    )  # fmt: skip


class Spread(NamedTuple):
    """What to expect of counts, if tokens are drawn with some probabilities."""

    expected: Float[np.ndarray, "token"]
    low: Int[np.ndarray, "token"]
    high: Int[np.ndarray, "token"]


def expected_spread(probabilities: Float[np.ndarray, "token"], n_draws: int) -> Spread:
    """Return the mean and the central 95 % range of each token's count (binomial distribution)."""
    counts = np.arange(n_draws + 1)
    choices = np.array([math.lgamma(k + 1) for k in counts])
    choices = math.lgamma(n_draws + 1) - choices - choices[::-1]
    low, high = [], []
    for p in probabilities:
        if p <= 0 or p >= 1:
            certain = n_draws if p >= 1 else 0
            low.append(certain)
            high.append(certain)
            continue
        chances = np.exp(choices + counts * math.log(p) + (n_draws - counts) * math.log1p(-p))
        at_most = np.cumsum(chances)
        low.append(int(np.searchsorted(at_most, (1 - MASS) / 2)))
        high.append(min(n_draws, int(np.searchsorted(at_most, (1 + MASS) / 2))))
    return Spread(n_draws * np.asarray(probabilities), np.array(low), np.array(high))


def drawn_counts(
    tokens: Sequence[str],
    counts: Int[np.ndarray, "token"],
    spread: Spread,
    n_draws: int,
) -> go.Figure:
    """Draw how often each token came, beside how often it was to be expected.

    Args:
        tokens: Labels, the first on top.
        counts: How often each was drawn.
        spread: From `expected_spread`.
        n_draws: How many draws there were.
    """
    y = list(range(len(tokens)))
    outside = (counts < spread.low) | (counts > spread.high)
    figure = go.Figure(
        [
            go.Bar(
                x=counts, y=y, orientation="h", name="drawn", hoverinfo="skip",
                marker={
                    "color": theme.QUERY, "pattern": {"shape": ["/" if o else "" for o in outside]}
                },
            ),
            go.Scatter(
                x=spread.expected, y=y, mode="markers",
                name=f"expected, with the range of {MASS:.0%} of all repetitions",
                marker={"symbol": "line-ns-open", "size": 16, "color": theme.KEY,
                        "line": {"width": 3}},
                error_x={
                    "type": "data", "array": spread.high - spread.expected,
                    "arrayminus": spread.expected - spread.low, "color": theme.KEY, "width": 6,
                },
                customdata=[
                    f"<b>{theme.shorten(name, 40)}</b><br>drawn {count:,} times of {n_draws:,}<br>"
                    f"expected {mean:,.1f}, mostly {low:,} to {high:,}"
                    for name, count, mean, low, high in zip(tokens, counts, *spread, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    figure.update_xaxes(title=f"times drawn, of {n_draws:,}", rangemode="tozero", fixedrange=True)
    figure.update_yaxes(
        title="token", range=[len(tokens) - 0.5, -0.5], fixedrange=True, showgrid=False,
        **theme.token_axis(tokens),
    )  # fmt: skip
    figure.update_layout(
        hovermode="y", bargap=0.3,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )  # fmt: skip
    return theme.fit_rows(figure, len(tokens), above=44)
