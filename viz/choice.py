"""How certain is one prediction? Every token by rank, its entropy, and draws from it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from viz import theme
from viz.axes import axis, fixed, rows
from viz.figure import Figure
from viz.layout import Part, legend, note, row_sizes
from viz.marks import Mark, dots, hatched, hover, line, rows_of_bars, said
from viz.numbers import bits, counted, percent, three_digits, whole_percent

N_FIRST = 100
"""Ranks that all have a mark of their own; beyond, marks are spread evenly over the log axis."""
N_SPREAD = 200
MASS = 0.95
"""Share of all repetitions in which a count lies inside its expected range."""


class _Ranking(NamedTuple):
    """All tokens by falling probability, and the ranks that get a mark."""

    raw: Float[np.ndarray, "vocab"]
    final: Float[np.ndarray, "vocab"]
    order: Int[np.ndarray, "vocab"]
    """Token IDs, the most probable first."""
    ranks: Int[np.ndarray, "mark"]

    @property
    def ids(self) -> Int[np.ndarray, "mark"]:
        return self.order[self.ranks - 1]

    @property
    def left(self) -> Bool[np.ndarray, "vocab"]:
        """By rank, whether the token can still be drawn."""
        return self.final[self.order] > 0

    def rank(self, token_id: int) -> int:
        return int(np.flatnonzero(self.order == token_id)[0]) + 1


def ranked_distribution(
    raw: Float[np.ndarray, "vocab"],
    final: Float[np.ndarray, "vocab"],
    token: Callable[[int], str],
    *,
    chosen: int | None = None,
) -> Figure:
    """Draw the probability of every token by rank, both on a log scale, and where filters cut.

    Args:
        raw: The model's own probabilities.
        final: After all options; 0 for removed tokens.
        token: Gives the display string of a token ID.
        chosen: A token ID to mark.
    """
    order = np.argsort(-raw, kind="stable")
    found = _Ranking(raw, final, order, marked_ranks(len(order)))
    notes = []
    if chosen is not None:
        found = found._replace(ranks=np.union1d(found.ranks, [found.rank(chosen)]))
    edge = cut_off(found.left)
    if edge is not None:
        notes.append(_cut_off_note(found, edge))
    if chosen is not None and raw[chosen] > 0:
        notes.append(_pointer(found, chosen, token(chosen)))
    shapes = [] if edge is None else [_cut_off_line(edge)]
    layout = _rank_layout(len(order)) | {"shapes": shapes, "annotations": notes}
    return Figure(_rank_marks(found, _rank_hovers(found, token)), layout)


def _rank_hovers(found: _Ranking, token: Callable[[int], str]) -> list[str]:
    up_to = np.cumsum(found.raw[found.order])[found.ranks - 1]
    return [
        f"<b>{theme.shorten(token(int(i)), 40)}</b>  rank {rank:,}<br>"
        f"the model's own: {percent(float(found.raw[i]))}<br>"
        f"after the options: {percent(float(found.final[i]))}<br>"
        f"all up to here: {percent(round(float(total), 9))}"
        for rank, i, total in zip(found.ranks, found.ids, up_to, strict=True)
    ]


def _rank_marks(found: _Ranking, hovers: Sequence[str]) -> list[Mark]:
    raw, final = found.raw, found.final
    kept = found.left[found.ranks - 1]
    changed = kept & (not np.allclose(final, raw, rtol=1e-6, atol=0))
    kinds = (
        ("kept: the model's own", kept, raw, theme.QUERY, "circle"),
        ("removed by a filter", ~kept, raw, theme.RESIDUAL, "x-thin-open"),
        ("kept: after the options", changed, final, theme.HIGHLIGHT, "diamond-open"),
    )
    marks = []
    for name, which, values, colour, symbol in kinds:
        texts = said(hovers[i] for i in np.flatnonzero(which).tolist())
        x, y = found.ranks[which], values[found.ids[which]]
        marks.append(dots(x, y, colour, 6, symbol, name=name, **texts))
    return [mark for mark in marks if len(mark["x"])]


def _cut_off_line(edge: int) -> Part:
    line = {"color": theme.HIGHLIGHT, "width": 2, "dash": "dash"}
    place = {"xref": "x", "yref": "paper", "x0": edge + 0.5, "x1": edge + 0.5, "y0": 0, "y1": 1}
    return {"type": "line", "line": line, **place}


def _cut_off_note(found: _Ranking, edge: int) -> Part:
    x = math.log10(edge + 0.5)
    left = x > 0.6 * math.log10(len(found.order))
    share = percent(round(float(found.raw[found.order[:edge]].sum()), 9))
    text = f" cut-off: {counted(edge, 'token')} left, {share} of the probability "
    place = {"xref": "x", "yref": "paper", "yanchor": "top"}
    return note(x, 1, text, xanchor="right" if left else "left", **place)


def _pointer(found: _Ranking, chosen: int, token: str) -> Part:
    """An arrow to one token's mark."""
    x, y = math.log10(found.rank(chosen)), math.log10(found.raw[chosen])
    arrow = {"arrowhead": 2, "arrowcolor": theme.QUERY, "ax": 36, "ay": -28, "xanchor": "left"}
    return {"x": x, "y": y, "text": f"<b>{theme.shorten(token)}</b>", **arrow}


def _rank_layout(n_tokens: int) -> Part:
    reach = {"range": [-0.08, math.log10(n_tokens) + 0.08], "dtick": 1, "tickformat": ",d"}
    powers = {"exponentformat": "power", "nticks": 8}
    return {
        "xaxis": axis(f"rank among all {n_tokens:,} tokens (log scale)", type="log", **reach),
        "yaxis": axis("probability (log scale)", type="log", **powers),
        "height": 400,
        "margin": {"t": 44, "b": 50, "r": 10},
        "legend": legend(),
    }


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
) -> Figure:
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
    traces = [_entropy_curve(temperatures, free, "temperature alone", theme.QUERY, "solid")]
    if filtered is not None:
        traces.append(_entropy_curve(temperatures, filtered, f"and {filters}", theme.KEY, "dash"))
    most = math.log2(n_tokens)
    text = f"{bits(most)}: all {n_tokens:,} tokens equally probable"
    layout = {
        "xaxis": fixed("temperature"),
        "yaxis": fixed("entropy (bits)", range=[0, most * 1.04]),
        "height": 380,
        "margin": {"t": 44, "b": 50, "r": 10},
        "legend": legend(),
        "shapes": _entropy_lines(most, temperature),
        "annotations": [note(0, most, text, xref="paper", yanchor="top")],
    }
    return Figure([*traces, _entropy_now(temperature, entropy)], layout)


def _entropy_curve(
    temperatures: Float[np.ndarray, "temperature"],
    bits: Float[np.ndarray, "temperature"],
    name: str,
    colour: str,
    dash: str,
) -> Mark:
    template = (
        "temperature %{x:.3r}: %{y:.3r} bits<br>"
        f"like a fair draw among %{{customdata:,.3r}} tokens<extra>{name}</extra>"
    )
    told = {"name": name, "customdata": 2.0**bits, "hovertemplate": template}
    return line(temperatures, bits, colour, 3, dash, **told)


def _entropy_now(temperature: float, entropy: float) -> Mark:
    written: Mark = {"text": [f"<b>{bits(entropy)}</b>"], "textposition": "bottom right"}
    template = hover(f"now: temperature {temperature:g}, {bits(entropy)}")
    told: Mark = {"name": "now", "mode": "markers+text", "hovertemplate": template}
    return dots([temperature], [entropy], theme.HIGHLIGHT, 14, "diamond", **written, **told)


def _entropy_lines(most: float, temperature: float) -> list[Part]:
    """The most entropy there can be, and the current temperature."""
    look = {"type": "line", "line": {"color": theme.RESIDUAL, "dash": "dot", "width": 1}}
    level = {"xref": "paper", "x0": 0, "x1": 1, "y0": most, "y1": most}
    upright = {"yref": "paper", "y0": 0, "y1": 1, "x0": temperature, "x1": temperature}
    return [{**look, **level}, {**look, **upright}]


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
) -> Figure:
    """Draw how often each token came, beside how often it was to be expected.

    Args:
        tokens: Labels, the first on top.
        counts: How often each was drawn.
        spread: From `expected_spread`.
        n_draws: How many draws there were.
    """
    outside = hatched((counts < spread.low) | (counts > spread.high))
    drawn = rows_of_bars(counts, theme.QUERY, outside, name="drawn", hoverinfo="skip")
    hovers = [
        f"<b>{theme.shorten(name, 40)}</b><br>drawn {counted(count, 'time')} of {n_draws:,}<br>"
        f"expected {three_digits(mean)}, mostly {low:,} to {high:,}"
        for name, count, mean, low, high in zip(tokens, counts, *spread, strict=True)
    ]
    layout = {
        "xaxis": fixed(f"times drawn, of {n_draws:,}", rangemode="tozero"),
        "yaxis": rows(map(theme.shorten, tokens), "token", showgrid=False),
        "hovermode": "y",
        "bargap": 0.3,
        "legend": legend(),
        **row_sizes(len(tokens), above=44),
    }
    return Figure([drawn, _expectations(spread, hovers)], layout)


def _expectations(spread: Spread, hovers: Sequence[str]) -> Mark:
    ranges = {
        "type": "data",
        "array": spread.high - spread.expected,
        "arrayminus": spread.expected - spread.low,
        "color": theme.KEY,
        "width": 6,
    }
    name = f"expected, with the range of {whole_percent(MASS)} of all repetitions"
    told = {"name": name, "customdata": hovers, "hovertemplate": hover("%{customdata}")}
    y = list(range(len(hovers)))
    rim = {"width": 3}
    return dots(spread.expected, y, theme.KEY, 16, "line-ns-open", rim, error_x=ranges, **told)
