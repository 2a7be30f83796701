"""What is the KV cache worth? What each step computes and reads, what it holds, what it saves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from viz import theme
from viz.axes import Axis, across, axis, down, fixed, rows, ticks
from viz.figure import Figure
from viz.layout import Part, box, legend, titles_left
from viz.marks import Mark, bars, beside, diverging, dots, hatched, hover, line, rows_of_bars
from viz.numbers import byte_unit, counted, three_digits
from viz.vectors import color_limit

ON, OFF = theme.KEY, theme.RESIDUAL
"""The run with the cache and the run without it, in every figure."""

READ, COMPUTED = 1, 2
MAX_LABELLED = 28
"""Up to so many columns carry their token and a sign in each cell."""
KEPT_APART = 8
"""Positions that keep their own column before those that differ."""
MAX_GRID_PX = 380
MAX_ROW_PX = 26
LABEL_CHARACTER_PX = 5.2


class _Grid(NamedTuple):
    """What each step did with each position; in long texts, the first ones share a column."""

    cells: Float[np.ndarray, "step column"]
    """`READ`, `COMPUTED`, or NaN."""
    labels: list[str]

    @property
    def labelled(self) -> bool:
        return len(self.labels) <= MAX_LABELLED


def step_grid(
    tokens: Sequence[str],
    positions: Sequence[int],
    computed: Sequence[int],
    read: Sequence[int],
    *,
    selected: int | None = None,
) -> Figure:
    """Draw which positions each step computed and which it read from the cache.

    In a long text, leading positions that every step treated alike share one column.

    Args:
        tokens: The text, at least as long as the longest step needs.
        positions: Per step, the length of the text it went on from.
        computed: Per step, how many of its last positions were computed.
        read: Per step, how many before those were read from the cache.
        selected: The step to frame, from 0.
    """
    n_steps, n_positions = len(positions), max(positions, default=1)
    cells = np.full((n_steps, n_positions), np.nan, dtype=np.float32)
    for step, (end, new, old) in enumerate(zip(positions, computed, read, strict=True)):
        cells[step, end - new : end] = COMPUTED
        cells[step, end - new - old : end - new] = READ
    n_merged = _alike_at_the_start(cells)
    labels = theme.position_labels(tokens[n_merged:n_positions], n_merged)
    if n_merged:
        cells = np.concatenate([cells[:, :1], cells[:, n_merged:]], axis=1)
        labels = [f"0 to {n_merged - 1}", *labels]
    return _drawn_grid(_Grid(cells, labels), selected)


def _drawn_grid(grid: _Grid, selected: int | None) -> Figure:
    n_steps, n_columns = len(grid.cells), len(grid.labels)
    traces = [
        *_cells_of(grid, READ, "read from the cache", "○", ON),
        *_cells_of(grid, COMPUTED, "computed", "●", OFF),
    ]
    frames = []
    if selected is not None:
        rows = (selected + 0.5, selected + 1.5)
        frames.append(box((-0.5, n_columns - 0.5), rows, theme.QUERY))
    below = 40 + LABEL_CHARACTER_PX * max(map(len, grid.labels))
    height = max(min(MAX_ROW_PX, MAX_GRID_PX / max(n_steps, 1)) * n_steps, 4 * MAX_ROW_PX)
    layout = {
        **_grid_axes(grid),
        "shapes": frames,
        "height": height + below + 36,
        "margin": {"t": 36, "b": below, "l": 50, "r": 8},
        "showlegend": True,
        "legend": legend(itemclick=False),
        "dragmode": False,
    }
    return Figure(traces, layout)


def _cells_of(grid: _Grid, kind: int, name: str, sign: str, colour: str) -> list[Mark]:
    """The cells of one kind, and its mark in the legend; nothing where there are none."""
    which = grid.cells == kind
    if not which.any():
        return []
    n_steps = len(grid.cells)
    cells = {
        "type": "heatmap",
        "z": np.where(which, kind, np.nan).astype(np.float32),
        "x": grid.labels,
        "y": list(range(1, n_steps + 1)),
        "colorscale": [(0, colour), (1, colour)],
        "showscale": False,
        "xgap": 2 if grid.labelled else 0,
        "ygap": 2 if n_steps <= MAX_LABELLED else 0,
        "hoverongaps": False,
        "textfont": {"size": 14},
        "hovertemplate": hover(f"step %{{y}}<br>position %{{x}}<br>{name}"),
    }
    if grid.labelled:
        cells |= {"text": np.where(which, sign, "").tolist(), "texttemplate": "%{text}"}
    shown = f"{sign} {name}" if grid.labelled else name
    return [cells, dots([None], [None], colour, 12, "square", name=shown, hoverinfo="skip")]


def _grid_axes(grid: _Grid) -> Part:
    plain = {"showgrid": False, "zeroline": False, "ticks": "", "fixedrange": grid.labelled}
    labels = {"tickvals": grid.labels, "tickangle": -90} if grid.labelled else {}
    reach = [len(grid.cells) + 0.5, 0.5]
    steps = axis("step", range=reach, tickformat="d", nticks=8, **plain)
    positions = axis("position", type="category", range=across(len(grid.labels)), **plain, **labels)
    return {"xaxis": positions, "yaxis": steps}


def _alike_at_the_start(cells: Float[np.ndarray, "step pos"]) -> int:
    """Return how many leading positions share a column; 0 where all fit or none are alike."""
    if cells.shape[1] <= MAX_LABELLED:
        return 0
    differs = (np.nan_to_num(cells) != np.nan_to_num(cells[:, :1])).any(0)
    alike = int(differs.argmax()) if differs.any() else cells.shape[1]
    return max(0, alike - KEPT_APART)


class _Rounds(NamedTuple):
    """Measured values of several rounds, and how they are drawn."""

    name: str
    values: Float[np.ndarray, "round step"]
    unit: str
    colour: str
    dash: str


def race_curves(
    on: Float[np.ndarray, "round step"], off: Float[np.ndarray, "round step"]
) -> go.Figure:
    """Draw the time per token and the time since the start, with and without the cache.

    Lines are medians of the rounds, bands reach from the least to the greatest. The first token,
    which needs the whole prompt, is a diamond.

    Args:
        on: Seconds per round and step, with the cache.
        off: The same without it.
    """
    titles = ["Time per token", "Time since the start"]
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=titles)
    for name, seconds, look in (("cache off", off, (OFF, "dash")), ("cache on", on, (ON, "solid"))):
        _add_rounds(figure, 1, _Rounds(name, 1e3 * seconds, "ms", *look))
        _add_rounds(figure, 2, _Rounds(name, seconds.cumsum(1), "s", *look))
    figure.update_xaxes(title="token written", tickformat="d", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title="milliseconds", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="seconds", rangemode="tozero", row=2, col=1)
    return titles_left(figure).update_layout(
        height=470,
        margin={"t": 56, "b": 50, "r": 10},
        legend=legend(1.03) | {"x": 1, "xanchor": "right"},
        dragmode=False,
    )


def _add_rounds(figure: go.Figure, row: int, rounds: _Rounds) -> None:
    """Add the median line of some rounds, and the band from the least to the greatest."""
    name, values, unit, colour, dash = rounds
    x = list(range(1, values.shape[1] + 1))
    low, middle, high = values.min(0), np.median(values, 0), values.max(0)
    template = (
        f"token %{{x}}, {name}: %{{y:,.3r}} {unit}<br>"
        f"%{{customdata[0]:,.3r}} to %{{customdata[1]:,.3r}} {unit} in the rounds"
    )
    told = {"customdata": np.stack([low, high], -1).tolist(), "hovertemplate": hover(template)}
    shared = {"name": name, "legendgroup": name, "showlegend": row == 1}
    first = {"color": colour, "size": [10, *[0] * (len(x) - 1)], "symbol": "diamond"}
    drawn = {"mode": "lines+markers", "marker": first}
    medians = line(x, middle, colour, 2.5, dash, **drawn, **shared, **told)
    figure.add_traces([_spread(x, low, high, colour), medians], rows=row, cols=1)


def _spread(
    x: list[int], low: Float[np.ndarray, "step"], high: Float[np.ndarray, "step"], colour: str
) -> Mark:
    """A band between two lines."""
    look = {"fill": "toself", "fillcolor": colour, "opacity": 0.2}
    around = [*x, *reversed(x)], [*high, *low[::-1]]
    return line(*around, colour, 0, hoverinfo="skip", showlegend=False, **look)


def ratio_curve(
    on: Float[np.ndarray, "round step"],
    off: Float[np.ndarray, "round step"],
    positions: Sequence[int] | None = None,
) -> go.Figure:
    """Draw how many times as long the text took without the cache, against its length so far.

    Args:
        on: Seconds per round and step, with the cache.
        off: The same without it.
        positions: What to count the length by; the tokens written when omitted.
    """
    ratios = off.cumsum(1) / on.cumsum(1)
    x = list(range(1, ratios.shape[1] + 1)) if positions is None else list(positions)
    low, high = ratios.min(0), ratios.max(0)
    template = (
        "%{x} tokens: %{y:.3r} times as long<br>"
        "%{customdata[0]:.3r} to %{customdata[1]:.3r} in the rounds"
    )
    told = {"customdata": np.stack([low, high], -1).tolist(), "hovertemplate": hover(template)}
    median = line(x, np.median(ratios, 0), ON, 3, name="ratio", showlegend=False, **told)
    title = {"font": {"size": 14}, "x": 0, "xref": "paper", "y": 0.955}
    layout = {
        "xaxis": axis("tokens written", tickformat="d", rangemode="tozero"),
        "yaxis": axis("time without / time with the cache", rangemode="tozero"),
        "title": {"text": "Ratio against length", **title},
        "height": 470,
        "margin": {"t": 56, "b": 50, "r": 10},
        "dragmode": False,
    }
    figure = go.Figure([_spread(x, low, high, ON), median], layout)
    return figure.add_hline(y=1, line={"color": OFF, "dash": "dot", "width": 1})


def cache_growth(n_bytes: Sequence[int], prefill: int) -> Figure:
    """Draw the bytes that the cache holds after each step.

    Args:
        n_bytes: Per step.
        prefill: Positions of the prompt, which the first step adds at once.
    """
    steps = list(range(1, len(n_bytes) + 1))
    what = [
        f"prefill: {counted(prefill, 'position')}",
        *["decode: one position"] * (len(steps) - 1),
    ]
    held = bars(
        steps,
        [value / 1e3 for value in n_bytes],
        ON,
        hatched((step == 1 for step in steps), 6),
        customdata=what,
        hovertemplate=hover("step %{x}, %{customdata}<br>holds %{y:,.3r} kB"),
    )
    layout = {
        "xaxis": axis("step", tickformat="d", range=[0.4, max(len(steps), 8) + 0.6]),
        "yaxis": axis("kilobytes held", rangemode="tozero"),
        "height": 260,
        "margin": {"t": 12, "b": 46, "r": 8},
        "bargap": 0.25,
        "dragmode": False,
    }
    return Figure(held, layout)


def cache_contents(
    key: Float[np.ndarray, "pos d_key"],
    value: Float[np.ndarray, "pos d_value"],
    tokens: Sequence[str],
    *,
    start: int = 0,
) -> go.Figure:
    """Draw the key and the value vector that one KV head keeps of each position.

    Args:
        key: The keys, one row per position.
        value: The values.
        tokens: A label per row; the last row is the newest.
        start: The position of the first row.

    Raises:
        ValueError: There are not as many keys as values or labels.
    """
    n_rows = len(tokens)
    if not len(key) == len(value) == n_rows:
        raise ValueError(f"keys {key.shape} and values {value.shape} do not fit {n_rows} rows")
    labels = theme.position_labels(tokens, start)
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        subplot_titles=["Keys", "Values"],
        column_widths=[key.shape[1], value.shape[1]],
    )
    for column, (name, numbers) in enumerate((("key", key), ("value", value)), 1):
        figure.add_trace(_vectors(name, numbers, labels), 1, column)
    plain = {"showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True}
    figure.update_xaxes(axis("dimension", tickformat="d", **plain))
    figure.update_yaxes(range=down(n_rows), **plain)
    figure.update_yaxes(_some_rows(labels), row=1, col=1)
    figure.update_annotations(font_size=14)
    height = min(max(MAX_ROW_PX * n_rows, 110), 520) + 84
    margin = {"t": 30, "b": 54, "r": 8}
    return figure.update_layout(height=height, margin=margin, dragmode=False)


def _vectors(name: str, numbers: Float[np.ndarray, "pos d"], labels: Sequence[str]) -> Mark:
    rows = np.array(labels, dtype=object)[:, None]
    return diverging(
        numbers.astype(np.float32),
        color_limit(numbers),
        y=list(range(len(labels))),
        showscale=False,
        ygap=1 if len(labels) <= MAX_LABELLED else 0,
        customdata=np.broadcast_to(rows, numbers.shape).tolist(),
        hovertemplate=hover(f"%{{customdata}}<br>{name}, dimension %{{x}}: %{{z:.3r}}"),
    )


def _some_rows(labels: Sequence[str]) -> Axis:
    """Label as many rows as there is room for."""
    shown = range(0, len(labels), -(-len(labels) // MAX_LABELLED))
    return axis("position", **ticks([labels[i] for i in shown], shown))


def size_bars(
    names: Sequence[str],
    n_bytes: Sequence[int | float],
    *,
    actual: int,
    memory: int | float,
) -> go.Figure:
    """Draw the bytes of a cache with different numbers of KV heads, against a memory.

    Args:
        names: What each bar is, the first on top.
        n_bytes: Its bytes.
        actual: Which one the model has; the others are hatched, because nobody built them.
        memory: Bytes of the memory it has to fit into, drawn as a line where it is in reach.
    """
    unit, unit_name = byte_unit(max(n_bytes))
    sizes, limit = [value / unit for value in n_bytes], memory / unit
    in_reach = limit <= 3 * max(sizes)
    labels = [theme.shorten(text, 40) for text in names]
    labels = [f"▶ <b>{text}</b>" if i == actual else text for i, text in enumerate(labels)]
    drawn = rows_of_bars(
        sizes,
        ON,
        hatched((i != actual for i in range(len(names))), 7),
        hovertemplate=hover("%{x:,.3r} " + unit_name),
        **beside(f"{three_digits(size)} {unit_name}" for size in sizes),
    )
    longest = max(max(sizes), limit) if in_reach else max(sizes)
    layout = {
        "xaxis": fixed(unit_name, range=[0, 1.2 * longest]),
        "yaxis": rows(labels, "query heads share KV heads", showgrid=False, ticks=""),
        "height": 44 * len(names) + 96,
        "margin": {"t": 30, "b": 60, "r": 10},
        "bargap": 0.3,
        "dragmode": False,
    }
    figure = go.Figure(drawn, layout)
    return _with_memory(figure, limit) if in_reach else figure


def _with_memory(figure: go.Figure, limit: float) -> go.Figure:
    line = {"color": theme.QUERY, "dash": "dash", "width": 2}
    label = {"text": "memory", "yanchor": "bottom", "y": 1}
    return figure.add_vline(x=limit, line=line, annotation=label)
