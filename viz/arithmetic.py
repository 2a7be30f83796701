"""What does one head compute? A dot product, a softmax and a weighted sum, number by number."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import fixed, in_panel, stacked, ticks
from viz.figure import Figure
from viz.marks import Mark, bars, diverging, hover
from viz.numbers import counted, three_digits
from viz.vectors import color_limit

ROW_PX = 30
MAX_GAPS = 256
"""Numbers in a row up to which a gap between them still leaves room for their colour."""
MAX_TERMS = 6
"""Keys that get a row of their own in a weighted sum."""


class _Strip(NamedTuple):
    """One vector as a row of cells."""

    name: str
    values: Float[np.ndarray, "d"]
    colour: str | None
    """Of the name; None for that of all text."""
    limit: float
    """Where the colours of the cells end."""


def dot_product(
    query: Float[np.ndarray, "d"],
    key: Float[np.ndarray, "d"],
    *,
    names: tuple[str, str] = ("query q", "key k"),
    colours: tuple[str, str] = (theme.QUERY, theme.KEY),
    dimension: str = "dimension of the head",
    shared_range: bool = True,
) -> Figure:
    """Draw a query, a key, and their product number by number; the products sum to q · k.

    Args:
        query: A vector.
        key: Another one.
        names: What the two are called; the defaults are those of attention.
        colours: Of the names.
        dimension: Title of the x axis.
        shared_range: Whether query and key share one colour range. If not, each strip has a range
            of its own, in which a few huge numbers pale no others.
    """
    vectors = (query, key, query * key)
    limits = [_limit(query, key)] * 2 + [_limit(vectors[2])]
    if not shared_range:
        limits = [color_limit(values) for values in vectors]
    colours_of = (*colours, None)
    strips = [*map(_Strip, (*names, "product"), vectors, colours_of, limits)]
    panels = [fixed(ticks="", tickfont={"size": 14, "color": strip.colour}) for strip in strips]
    layout = {
        **stacked(panels, fixed(dimension, ticks=""), 0.06),
        "height": 3 * ROW_PX + 70,
        "margin": {"t": 5, "b": 50, "r": 5},
    }
    return Figure([_cells(strip, row) for row, strip in enumerate(strips)], layout)


def _cells(strip: _Strip, row: int) -> Mark:
    return diverging(
        strip.values[None],
        strip.limit,
        y=[strip.name],
        showscale=False,
        xgap=1 if len(strip.values) <= MAX_GAPS else 0,
        hovertemplate=hover(f"{strip.name}, dimension %{{x}}: %{{z:.3r}}"),
        **in_panel(row),
    )


def softmax_bars(
    scores: Float[np.ndarray, "key"],
    weights: Float[np.ndarray, "key"],
    tokens: Sequence[str],
    key: int,
) -> Figure:
    """Draw the scores of all keys above the weights that softmax makes of them.

    Args:
        scores: Before softmax, -inf where masked.
        weights: After softmax.
        tokens: Labels of the keys.
        key: The position of the key to stress.
    """
    labels = theme.position_labels(tokens)
    stressed = [pos == key for pos in range(len(tokens))]
    colours = [theme.KEY if is_it else theme.RESIDUAL for is_it in stressed]
    rim = {"width": [2 if is_it else 0 for is_it in stressed], "color": theme.KEY}
    panels = [
        bars(
            labels,
            np.where(np.isfinite(values), values, np.nan),
            colours,
            rim=rim,
            hovertemplate=hover(f"key %{{x}}<br>{name} %{{y:.3r}}"),
            **in_panel(row),
        )
        for row, (name, values) in enumerate((("score", scores), ("weight", weights)))
    ]
    heights = [fixed(name, nticks=4) for name in ("score", "weight")]
    layout = {
        **stacked(heights, fixed("key", type="category", tickangle=-90), 0.08),
        "height": 330,
        "bargap": 0.15,
        "showlegend": False,
        "margin": {"t": 5, "r": 5, "b": 10},
    }
    return Figure(panels, layout)


class _Sum(NamedTuple):
    """The terms of a weighted sum, and the sum as the last row."""

    names: list[str]
    rows: Float[np.ndarray, "term d_value"]


def weighted_sum(
    weights: Float[np.ndarray, "key"],
    values: Float[np.ndarray, "key d_value"],
    tokens: Sequence[str],
    key: int,
) -> Figure:
    """Draw what the most read keys add to a head's output, the rest, and the sum.

    Args:
        weights: One query's attention weights.
        values: The values of all keys.
        tokens: Labels of the keys.
        key: The position of a key that gets its row whatever its weight.
    """
    names, rows = _summed(weights, values, tokens, key)
    n_rows = len(names)
    cells = diverging(
        rows,
        _limit(rows),
        y=list(range(n_rows)),
        customdata=np.repeat(np.array(names, dtype=object)[:, None], rows.shape[1], 1),
        showscale=False,
        xgap=1,
        ygap=3,
        hovertemplate=hover("%{customdata}<br>dimension %{x}: %{z:.3r}"),
    )
    above_sum = {"y0": n_rows - 1.5, "y1": n_rows - 1.5, "yref": "y"}
    line = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", **above_sum}
    layout = {
        "shapes": [{**line, "line": {"width": 2, "color": theme.VALUE}}],
        "xaxis": fixed("dimension of the head"),
        "yaxis": fixed(autorange="reversed", showgrid=False, **ticks(names)),
        "height": n_rows * ROW_PX + 60,
        "margin": {"t": 5, "b": 45, "r": 5},
    }
    return Figure(cells, layout)


def _summed(
    weights: Float[np.ndarray, "key"],
    values: Float[np.ndarray, "key d_value"],
    tokens: Sequence[str],
    key: int,
) -> _Sum:
    terms = sum_terms(weights, key)
    labels = theme.position_labels(tokens)
    names = [f"{three_digits(weights[pos])} · v of {labels[pos]}" for pos in terms]
    rows = [weights[pos] * values[pos] for pos in terms]
    others = np.setdiff1d(np.arange(len(weights)), terms)
    if others.size:
        in_all = f"{three_digits(weights[others].sum())} in all"
        names.append(f"{counted(others.size, 'other key')}, {in_all}")
        rows.append(weights[others] @ values[others])
    whole = [*rows, weights @ values]
    return _Sum([*names, "sum: the head's output z"], np.stack(whole).astype(np.float32))


def sum_terms(weights: Float[np.ndarray, "key"], key: int) -> list[int]:
    """Return the keys that get a row of their own: the most read ones and one chosen key."""
    strongest = [int(pos) for pos in np.argsort(-weights, kind="stable") if weights[pos] > 0]
    return list(dict.fromkeys([*strongest[: MAX_TERMS - (key not in strongest[:MAX_TERMS])], key]))


def _limit(*arrays: Float[np.ndarray, "..."]) -> float:
    """The largest absolute number; 1 if all are zero."""
    return float(max(np.abs(array).max(initial=0) for array in arrays)) or 1.0
