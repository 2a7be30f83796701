"""One head's arithmetic as pictures: a dot product, a softmax, a weighted sum."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from viz import theme
from viz.vectors import color_limit

ROW_PX = 30
MAX_GAPS = 256
"""Numbers in a row up to which a gap between them still leaves room for their colour."""
MAX_TERMS = 6
"""Keys that get a row of their own in a weighted sum."""


def dot_product(
    query: Float[np.ndarray, "d"],
    key: Float[np.ndarray, "d"],
    *,
    names: tuple[str, str] = ("query q", "key k"),
    colours: tuple[str, str] = (theme.QUERY, theme.KEY),
    dimension: str = "dimension of the head",
    shared_range: bool = True,
) -> go.Figure:
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
    products = query * key
    rows = (
        (names[0], query, colours[0]),
        (names[1], key, colours[1]),
        ("product", products, None),
    )
    limits = [_limit(query, key)] * 2 + [_limit(products)]
    if not shared_range:
        limits = [color_limit(values) for values in (query, key, products)]
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for number, ((name, values, colour), limit) in enumerate(zip(rows, limits, strict=True), 1):
        strip = go.Heatmap(
            z=values[None],
            y=[name],
            zmin=-limit,
            zmax=limit,
            colorscale=theme.scale(theme.DIVERGING),
            showscale=False,
            xgap=1 if len(values) <= MAX_GAPS else 0,
            hovertemplate=f"{name}, dimension %{{x}}: %{{z:.4f}}<extra></extra>",
        )
        figure.add_trace(strip, number, 1)
        font = {"size": 13} if colour is None else {"size": 13, "color": colour}
        figure.update_yaxes(tickfont=font, fixedrange=True, ticks="", row=number, col=1)
        figure.update_xaxes(fixedrange=True, ticks="", row=number, col=1)
    figure.update_xaxes(title=dimension, row=3, col=1)
    return figure.update_layout(height=3 * ROW_PX + 70, margin={"t": 5, "b": 50, "r": 5})


def softmax_bars(
    scores: Float[np.ndarray, "key"],
    weights: Float[np.ndarray, "key"],
    tokens: Sequence[str],
    key: int,
) -> go.Figure:
    """Draw the scores of all keys above the weights that softmax makes of them.

    Args:
        scores: Before softmax, -inf where masked.
        weights: After softmax.
        tokens: Labels of the keys.
        key: The position of the key to stress.
    """
    labels = theme.position_labels(tokens)
    line = {"width": [2 if pos == key else 0 for pos in range(len(tokens))], "color": theme.KEY}
    colours = [theme.KEY if pos == key else theme.RESIDUAL for pos in range(len(tokens))]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for number, (name, values) in enumerate((("score", scores), ("weight", weights)), 1):
        bars = go.Bar(
            x=labels,
            y=np.where(np.isfinite(values), values, np.nan),
            marker={"color": colours, "line": line},
            hovertemplate=f"key %{{x}}<br>{name} %{{y:.4f}}<extra></extra>",
        )
        figure.add_trace(bars, number, 1)
        figure.update_yaxes(title=name, fixedrange=True, nticks=4, row=number, col=1)
    figure.update_xaxes(type="category", tickangle=-90, fixedrange=True)
    figure.update_xaxes(title="key", row=2, col=1)
    return figure.update_layout(
        height=330, bargap=0.15, showlegend=False, margin={"t": 5, "r": 5, "b": 10}
    )


def weighted_sum(
    weights: Float[np.ndarray, "key"],
    values: Float[np.ndarray, "key d_value"],
    tokens: Sequence[str],
    key: int,
) -> go.Figure:
    """Draw what the most read keys add to a head's output, the rest, and the sum.

    Args:
        weights: One query's attention weights.
        values: The values of all keys.
        tokens: Labels of the keys.
        key: The position of a key that gets its row whatever its weight.
    """
    terms = sum_terms(weights, key)
    labels = theme.position_labels(tokens)
    names = [f"{weights[pos]:.3f} · v of {labels[pos]}" for pos in terms]
    rows = [weights[pos] * values[pos] for pos in terms]
    others = np.setdiff1d(np.arange(len(weights)), terms)
    if others.size:
        names.append(f"{others.size} other keys, {weights[others].sum():.3f} in all")
        rows.append(weights[others] @ values[others])
    names.append("sum: the head's output z")
    rows.append(weights @ values)
    cells = np.stack(rows).astype(np.float32)
    limit = _limit(cells)
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            y=list(range(len(names))),
            customdata=np.repeat(np.array(names, dtype=object)[:, None], cells.shape[1], 1),
            zmin=-limit,
            zmax=limit,
            colorscale=theme.scale(theme.DIVERGING),
            showscale=False,
            xgap=1,
            ygap=3,
            hovertemplate="%{customdata}<br>dimension %{x}: %{z:.4f}<extra></extra>",
        )
    )
    figure.add_hline(y=len(names) - 1.5, line={"width": 2, "color": theme.VALUE})
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=names,
        autorange="reversed", fixedrange=True, showgrid=False,
    )  # fmt: skip
    figure.update_xaxes(title="dimension of the head", fixedrange=True)
    return figure.update_layout(height=len(names) * ROW_PX + 60, margin={"t": 5, "b": 45, "r": 5})


def sum_terms(weights: Float[np.ndarray, "key"], key: int) -> list[int]:
    """Return the keys that get a row of their own: the most read ones and one chosen key."""
    strongest = [int(pos) for pos in np.argsort(-weights, kind="stable") if weights[pos] > 0]
    return list(dict.fromkeys([*strongest[: MAX_TERMS - (key not in strongest[:MAX_TERMS])], key]))


def _limit(*arrays: Float[np.ndarray, "..."]) -> float:
    """The largest absolute number; 1 if all are zero."""
    return float(max(np.abs(array).max(initial=0) for array in arrays)) or 1.0
