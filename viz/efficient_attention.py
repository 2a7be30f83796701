"""What does cheaper attention take away? Masks, the loss of each token, heads that share keys."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from viz import theme
from viz.attention import block_labels, block_size
from viz.axes import Axis, axis, categories, fixed, hidden, ticks
from viz.figure import Figure
from viz.layout import legend
from viz.marks import Mark, bars, beside, cells, dots, hatched, hover, line
from viz.numbers import percent, three_digits

LATER, OUTSIDE, TAKEN, READ = range(4)
"""What a cell of a mask can be, the higher the more it matters where cells are joined."""
CELLS = (
    "later in the text",
    "outside the model's own window",
    "taken away by the pattern",
    "may be read",
)
COLOURS = (theme.SEQUENTIAL[0], theme.MASKED, theme.KEY, theme.QUERY)
MIN_HEIGHT, MAX_HEIGHT, LEGEND_PX = 280, 480, 64
MAX_GAPS, MAX_CROSSES = 64, 40
"""Rows up to which cells have gaps and hovers say why, and up to which crosses are drawn."""
ROW_PX = 74
MAX_NUMBERED = 32
"""Heads in a row that have room for their number."""


def mask_cells(
    own: Bool[np.ndarray, "query key"], left: Bool[np.ndarray, "query key"]
) -> UInt8[np.ndarray, "query key"]:
    """Say of each query and key whether it may be read, and if not, why: an index of `CELLS`.

    Args:
        own: What the model's own mask lets be read.
        left: What is left of it.
    """
    kinds = np.where(np.tri(len(own), dtype=bool), OUTSIDE, LATER)
    return np.where(left, READ, np.where(own, TAKEN, kinds)).astype(np.uint8)


def mask_picture(
    cells: UInt8[np.ndarray, "query key"], tokens: Sequence[str], *, start: int = 0
) -> Figure:
    """Draw which keys each query may read, the first query on top.

    Of many tokens, neighbours are joined: a cell shows the best that one of its pairs gets.

    Args:
        cells: From `mask_cells`.
        tokens: Labels of rows and columns.
        start: The position of the first token, where only a part is drawn.
    """
    block = block_size(len(tokens))
    labels = theme.position_labels(tokens, start)
    if block > 1:
        starts = np.arange(0, len(tokens), block)
        cells = np.maximum.reduceat(np.maximum.reduceat(cells, starts, 0), starts, 1)
        labels = block_labels(tokens, block, start)
    traces = [_mask(cells, labels), *_mask_names(cells)]
    if (cells == TAKEN).any() and len(labels) <= MAX_CROSSES:
        traces.append(_crosses(cells, labels))
    height = min(max(len(labels) * theme.CELL_PX, MIN_HEIGHT), MAX_HEIGHT)
    layout = {
        "xaxis": categories("key: what is read", labels, side="bottom", tickangle=-90),
        "yaxis": categories("query: who reads", labels, autorange="reversed"),
        "height": height + LEGEND_PX + 80,
        "margin": {"t": LEGEND_PX, "r": 5, "b": 5, "l": 5},
        "legend": legend(),
    }
    return Figure(traces, layout)


def _mask(kinds: UInt8[np.ndarray, "query key"], labels: Sequence[str]) -> Mark:
    few = len(labels) <= MAX_GAPS
    why = {"hovertext": np.array(CELLS, dtype=object)[kinds]} if few else {}
    template = "query %{y}<br>key %{x}<br>%{hovertext}" if few else "query %{y}<br>key %{x}"
    gaps = {"xgap": int(few), "ygap": int(few), "showscale": False}
    place = {"x": labels, "y": labels, "hovertemplate": hover(template)}
    return cells(kinds, (-0.5, 3.5), theme.kinds(COLOURS), **place, **gaps, **why)


def _mask_names(kinds: UInt8[np.ndarray, "query key"]) -> list[Mark]:
    """A named mark for each kind that occurs: colours alone tell nobody what is what."""
    looks = (
        (READ, "square", theme.QUERY),
        (TAKEN, "x", theme.KEY),
        (OUTSIDE, "square-cross-open", theme.RESIDUAL),
    )
    return [
        dots([None], [None], colour, 10, symbol, name=CELLS[kind])
        for kind, symbol, colour in looks
        if (kinds == kind).any()
    ]


def _crosses(kinds: UInt8[np.ndarray, "query key"], labels: Sequence[str]) -> Mark:
    y, x = ([labels[i] for i in places.tolist()] for places in np.nonzero(kinds == TAKEN))
    return dots(x, y, theme.SEQUENTIAL[0], 6, "x", hoverinfo="skip", showlegend=False)


def loss_changes(
    before: Float[np.ndarray, "pos"],
    after: Float[np.ndarray, "pos"],
    tokens: Sequence[str],
    change: str,
) -> Figure:
    """Draw how much worse (up) or better (down) each token of the prompt is predicted.

    Args:
        before: Loss of each token but the first, in bits.
        after: The same after a change.
        tokens: Labels of all tokens, the first included.
        change: What was changed, for the hovers.
    """
    worse = after > before
    template = (
        "%{x}<br>probability as it is %{customdata[0]}<br>"
        f"{change} %{{customdata[1]}}<br>loss %{{y:+.3r}} bits"
    )
    changes = bars(
        theme.position_labels(tokens)[1:],
        after - before,
        [theme.KEY if is_worse else theme.VALUE for is_worse in worse],
        hatched(worse, 4),
        customdata=[
            [percent(2.0**-loss) for loss in two] for two in zip(before, after, strict=True)
        ],
        hovertemplate=hover(template),
    )
    layout = {
        "xaxis": axis("token that is predicted", type="category", tickangle=-90),
        "yaxis": fixed("added loss (bits)", zeroline=True, nticks=6),
        "height": 260,
        "margin": {"t": 8, "b": 5, "r": 5},
        "bargap": 0.2,
    }
    return Figure(changes, layout)


def layer_losses(
    layers: Sequence[int], losses: Sequence[float], whole: float, together: float | None
) -> Figure:
    """Draw the loss with a change in one layer at a time.

    Args:
        layers: Their numbers.
        losses: The mean loss with the change in that layer alone, in bits.
        whole: The loss without any change, drawn as a line.
        together: The loss with the change in all of these layers, or None.
    """
    labels, values = [f"layer {layer}" for layer in layers], list(losses)
    if together is not None:
        labels, values = [*labels, "all of them"], [*values, together]
    template = "changed in %{x}<br>loss %{customdata:.3r} bits per token (%{y:+.3r})"
    added = bars(
        labels,
        [value - whole for value in values],
        theme.KEY,
        hatched(i >= len(losses) for i in range(len(values))),
        customdata=values,
        hovertemplate=hover(template),
    )
    layout = {
        "xaxis": fixed("where the change acts", type="category"),
        "yaxis": fixed("added loss (bits per token)", nticks=6),
        "height": 240,
        "margin": {"t": 8, "b": 5, "r": 5},
        "bargap": 0.25,
    }
    return Figure(added, layout)


class _Row(NamedTuple):
    """Heads of one kind, side by side."""

    name: str
    height: int
    x: list[float]
    colour: str
    symbol: str
    notes: list[str]
    """What the hover says of each."""


class _Link(NamedTuple):
    """What reads what, from above to beneath."""

    x: tuple[float, float]
    y: tuple[int, int]
    selected: bool


def head_sharing(
    n_heads: int, n_kv_heads: int, n_groups: int, selected: int | None = None
) -> Figure:
    """Draw which query heads read which KV head, and which KV heads share a mean.

    Args:
        n_heads: Query heads.
        n_kv_heads: KV heads, each shared by neighbouring query heads.
        n_groups: Groups that KV heads are pooled into; as many as KV heads pools nothing.
        selected: A query head to single out.
    """
    kv_of = [head * n_kv_heads // n_heads for head in range(n_heads)]
    group_of = [kv * n_groups // n_kv_heads for kv in range(n_kv_heads)]
    width = max(n_heads, 2)
    heads, keys, groups = (
        [(i + 0.5) * width / n for i in range(n)] for n in (n_heads, n_kv_heads, n_groups)
    )
    links = [_Link((heads[i], keys[kv]), (2, 1), i == selected) for i, kv in enumerate(kv_of)]
    said = [f"reads KV head {kv}" for kv in kv_of]
    read = [f"read by query heads {_span(i, kv_of)}" for i in range(n_kv_heads)]
    rows = [
        _Row("query head", 2, heads, theme.QUERY, "circle", said),
        _Row("KV head", 1, keys, theme.KEY, "square", read),
    ]
    if n_groups < n_kv_heads:
        followed = None if selected is None else kv_of[selected]
        pooled = [
            _Link((keys[i], groups[g]), (1, 0), i == followed) for i, g in enumerate(group_of)
        ]
        links += pooled
        means = [f"the mean of KV heads {_span(g, group_of)}" for g in range(n_groups)]
        rows.append(_Row("shared head", 0, groups, theme.VALUE, "diamond", means))
    return _shared_heads(links, rows, width)


def _shared_heads(links: Sequence[_Link], rows: Sequence[_Row], width: int) -> Figure:
    names = ["query heads", "KV heads", "shared means"][: len(rows)]
    heights = [row.height for row in rows]
    reach = [min(heights) - 0.45, 2.45]
    plain: Axis = {"showgrid": False, "zeroline": False}
    layout = {
        "xaxis": hidden(0, width),
        "yaxis": fixed(range=reach, **ticks(names, heights), **plain),
        "height": ROW_PX * len(rows) + 20,
        "showlegend": False,
        "margin": {"t": 5, "b": 5, "r": 5},
    }
    lines = [_links(links, False), _links(links, True)]
    return Figure([*lines, *map(_heads, rows)], layout)


def _links(links: Sequence[_Link], selected: bool) -> Mark:
    """The links that are selected, or those that are not, as one broken line."""
    drawn = [link for link in links if link.selected == selected]
    x = [at for link in drawn for at in (*link.x, None)]
    y = [at for link in drawn for at in (*link.y, None)]
    colour, stroke = (theme.HIGHLIGHT, 3) if selected else (theme.RESIDUAL, 1)
    return line(x, y, colour, stroke, hoverinfo="skip")


def _heads(row: _Row) -> Mark:
    n_heads = len(row.x)
    few = n_heads <= MAX_NUMBERED
    return dots(
        row.x,
        [row.height] * n_heads,
        row.colour,
        22 if few else 7,
        row.symbol,
        mode="markers+text" if few else "markers",
        text=[str(i) for i in range(n_heads)],
        textfont={"color": theme.SEQUENTIAL[0], "size": 14},
        customdata=[[row.name, i, note] for i, note in enumerate(row.notes)],
        hovertemplate=hover("%{customdata[0]} %{customdata[1]}: %{customdata[2]}"),
    )


def converted_and_trained(
    names: Sequence[str],
    converted: Sequence[float | None],
    trained: Sequence[float | None],
    measure: str,
) -> Figure:
    """Draw the loss of models whose KV heads were averaged beside that of models trained so.

    Args:
        names: What each group of bars is about.
        converted: Loss after averaging; None where there is nothing to average.
        trained: Loss of the model that was trained that way; None where there is none.
        measure: What the loss is measured in.
    """
    kinds = (
        ("trained that way", trained, theme.RESIDUAL, ""),
        ("converted by averaging", converted, theme.KEY, "/"),
    )
    groups = []
    for name, values, colour, shape in kinds:
        written = beside("" if value is None else three_digits(value) for value in values)
        told: Mark = {"name": name, "hovertemplate": hover(f"%{{x}}, {name}: %{{y:.3r}}")}
        pattern = {"shape": shape, "size": 5}
        groups.append(bars(list(names), list(values), colour, pattern, **written, **told))
    layout = {
        "xaxis": fixed("KV heads per layer", type="category"),
        "yaxis": fixed(measure, rangemode="tozero", nticks=5),
        "height": 300,
        "margin": {"t": 40, "b": 5, "r": 5},
        "legend": legend(1.02),
    }
    return Figure(groups, layout)


def _span(group: int, group_of: Sequence[int]) -> str:
    members = [i for i, other in enumerate(group_of) if other == group]
    return str(members[0]) if len(members) == 1 else f"{members[0]} to {members[-1]}"
