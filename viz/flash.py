"""Why is tiled attention cheaper? Its tiles, how its output forms, what it moves, what it costs."""

import math
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from plotly.subplots import make_subplots

from viz import numbers, theme
from viz.axes import Axis, across, categories, down, fixed, ticks
from viz.figure import Figure
from viz.layout import legend, titles_left
from viz.marks import Mark, bar_below, cells, diverging, dots, hover, in_cells, line, marked_line
from viz.numbers import size_text, three_digits

TO_COME, SKIPPED, DONE, NOW = range(4)
"""What a tile can be."""
TILES = ("to come", "left out: all masked", "done", "now")
MARKS = ("", "x", "✓", "●")
COLOURS = (theme.SEQUENTIAL[1], theme.MASKED, theme.ATTENTION, theme.HIGHLIGHT)
MAX_MARKS = 24
"""Most tiles a side that get a mark."""
MAX_NUMBERS = 100
"""Most scores of a tile that are written into it."""
MAP_PX, TILE_PX, PANEL_PX = 300, 300, 200
BACKEND_LOOKS = (
    theme.Look(theme.KEY, "solid", "circle"),
    theme.Look(theme.VALUE, "dash", "square"),
    theme.Look(theme.QUERY, "dot", "diamond"),
    theme.Look(theme.FEEDFORWARD, "dashdot", "triangle-up"),
)


class _Tiles(NamedTuple):
    """What each tile is at one step."""

    kinds: Int[np.ndarray, "row column"]
    steps: Int[np.ndarray, "row column"]
    """When it is computed, from 1; 0 where it never is."""


def tile_map(
    order: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    now: int,
    size: tuple[int, int],
    n_positions: int,
) -> Figure:
    """Draw the matrix of scores cut into tiles: which are done, and which one is computed now.

    Args:
        order: (row, column) of the tile of each step.
        shape: How many tiles there are down and across.
        now: The step that is looked at, from 0.
        size: Queries and keys per tile.
        n_positions: Length of the text.
    """
    rows, columns = (_ranges(n, s, n_positions) for n, s in zip(shape, size, strict=True))
    kinds, steps = _tiles(order, shape, now)
    picture = cells(
        kinds,
        (-0.5, 3.5),
        theme.kinds(COLOURS),
        x=columns,
        y=rows,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertext=_tile_hovers(kinds, steps),
        hovertemplate=hover("queries %{y}, keys %{x}<br>%{hovertext}"),
    )
    if max(shape) <= MAX_MARKS:
        marks = [[MARKS[kind] for kind in row] for row in kinds]
        picture |= {"text": marks, "texttemplate": "%{text}"}
    layout = {
        "xaxis": _columns("keys and values of a tile", 8, shape[1]),
        "yaxis": _rows("queries of a tile", None, shape[0]),
        "height": MAP_PX + 60,
        "margin": {"t": 8, "r": 5, "b": 5, "l": 5},
    }
    return Figure(picture, layout)


def _tiles(order: Sequence[tuple[int, int]], shape: tuple[int, int], now: int) -> _Tiles:
    kinds = np.full(shape, SKIPPED)
    steps = np.zeros(shape, dtype=int)
    for step, tile in enumerate(order):
        kinds[tile] = NOW if step == now else DONE if step < now else TO_COME
        steps[tile] = step + 1
    return _Tiles(kinds, steps)


def _tile_hovers(
    kinds: Int[np.ndarray, "row column"], steps: Int[np.ndarray, "row column"]
) -> list[list[str]]:
    return [
        [TILES[kind] + (f", step {step}" if step else "") for kind, step in zip(*row, strict=True)]
        for row in zip(kinds, steps, strict=True)
    ]


def _columns(title: str, standoff: int, n: int) -> Axis:
    """The axis of keys, one category each."""
    return categories(title, fixedrange=True, standoff=standoff, range=across(n), tickangle=-90)


def _rows(title: str, standoff: int | None, n: int) -> Axis:
    """The axis of queries, one category each, the first on top."""
    return categories(title, fixedrange=True, standoff=standoff, range=down(n))


def tile_scores(
    scores: Float[np.ndarray, "row column"],
    weights: Float[np.ndarray, "row column"],
    queries: Sequence[str],
    keys: Sequence[str],
) -> Figure:
    """Draw the scores of one tile, with what the running softmax makes of them on hover.

    Args:
        scores: Before softmax, -inf where masked (left empty).
        weights: exp(score - the largest score of the row in this tile).
        queries: Labels of the rows.
        keys: Labels of the columns.
    """
    readable = np.isfinite(scores)
    template = (
        "query %{y}<br>key %{x}<br>score %{z:.3r}<br>exp(score - row maximum) %{customdata:.3r}"
    )
    shown = np.where(readable, scores, np.nan)
    picture = diverging(
        shown.astype(np.float32),
        float(np.abs(scores[readable]).max(initial=0)) or 1.0,
        x=list(keys),
        y=list(queries),
        hoverongaps=False,
        customdata=weights.astype(np.float32),
        **(in_cells(shown, three_digits) if scores.size <= MAX_NUMBERS else {}),
        hovertemplate=hover(template),
        colorbar=_bar_above("score of query and key (grey: masked)"),
    )
    layout = {
        "xaxis": _columns("keys in fast memory", 12, len(keys)),
        "yaxis": _rows("queries in fast memory", 8, len(queries)),
        "height": TILE_PX + 100,
        "margin": {"t": 60, "r": 5, "b": 5, "l": 5, "pad": 0},
        "plot_bgcolor": theme.MASKED,
    }
    return Figure(picture, layout)


def _bar_above(title: str) -> Mark:
    place = {"y": 1, "yanchor": "bottom", "ypad": None, "nticks": 7}
    return bar_below(title, **place) | {"title": {"text": title, "side": "top"}}


def output_distance(distances: Float[np.ndarray, "step"], now: int) -> Figure:
    """Draw how far the running output is from the head's own, step by step.

    Args:
        distances: The largest difference after each step.
        now: The step that is looked at, from 0.
    """
    steps = list(range(1, len(distances) + 1))
    shown = np.maximum(distances, 1e-9)
    curve = {
        "type": "scatter",
        "x": steps,
        "y": shown,
        "mode": "lines+markers" if len(steps) <= 60 else "lines",
        "line": {"color": theme.RESIDUAL, "shape": "hv"},
        "marker": {"size": 5},
        "customdata": distances,
        "hovertemplate": hover("after step %{x}: difference %{customdata:.1e}"),
    }
    ring = {"hoverinfo": "skip", "rim": {"width": 3}}
    here = dots([steps[now]], [shown[now]], theme.HIGHLIGHT, 13, "circle-open", **ring)
    powers = {"type": "log", "exponentformat": "power", "nticks": 5}
    layout = {
        "xaxis": fixed("step", tickformat="d", range=[0.5, len(steps) + 0.5], nticks=12),
        "yaxis": fixed("largest difference", **powers),
        "height": 220,
        "showlegend": False,
        "margin": {"t": 8, "b": 5, "r": 5},
    }
    return Figure([curve, here], layout)


def memory_traffic(
    lengths: Sequence[int],
    standard: Sequence[int],
    tiled: Sequence[int],
    n_positions: int,
    counted: tuple[int, int],
) -> Figure:
    """Draw the bytes that attention moves to and from slow memory against the length of the text.

    Args:
        lengths: Numbers of tokens.
        standard: Bytes that standard attention moves at each.
        tiled: Bytes that tiled attention moves at each.
        n_positions: The length of this text.
        counted: What both move at this length.
    """
    traces, length = [], numbers.counted(n_positions, "token")
    for name, values, here, look in (
        ("standard", standard, counted[0], theme.Look(theme.KEY, "solid", "circle")),
        ("tiled", tiled, counted[1], theme.Look(theme.QUERY, "dash", "diamond")),
    ):
        told = hover(f"{name} at %{{x:,}} tokens: %{{customdata}}")
        sizes = {"customdata": list(map(size_text, values)), "hovertemplate": told, "name": name}
        traces.append(line(list(lengths), list(values), look.colour, 2, look.dash, **sizes))
        told = hover(f"{name}, this prompt ({length}): {size_text(here)}")
        point = {"hovertemplate": told, "showlegend": False}
        traces.append(dots([n_positions], [here], look.colour, 11, look.symbol, **point))
    marked = [length for length in lengths if math.log2(length) % 2 == 0]
    powers = [10**power for power in range(3, 16)]
    sizes = ticks(map(size_text, powers), powers)
    layout = {
        "xaxis": _length_axis(marked),
        "yaxis": fixed("bytes moved, one head", type="log", **sizes),
        "height": 320,
        "margin": {"t": 36, "b": 5, "r": 5},
        "legend": legend(),
    }
    return Figure(traces, layout)


def _length_axis(lengths: Sequence[int], title: str | None = "tokens in the text") -> Axis:
    return fixed(title, type="log", **ticks([f"{n:,}" for n in lengths], lengths))


class BackendLine(NamedTuple):
    """What one backend took, by length."""

    name: str
    lengths: Sequence[int]
    seconds: Sequence[float]
    fastest: Sequence[float]
    slowest: Sequence[float]
    n_bytes: Sequence[int | None]


def backend_costs(lines: Sequence[BackendLine], lengths: Sequence[int]) -> go.Figure:
    """Draw time and peak memory of several backends against the length of the text.

    Args:
        lines: One per backend, in an order that stays.
        lengths: All lengths that are measured, so that the axis stays while results come in.
    """
    has_memory = any(n is not None for line in lines for n in line.n_bytes)
    titles = ["Time (milliseconds)"] + ["Peak memory (MB)"] * has_memory
    n_panels = len(titles)
    figure = make_subplots(
        rows=n_panels, subplot_titles=titles, shared_xaxes=True, vertical_spacing=0.1
    )
    for backend, look in zip(lines, cycle(BACKEND_LOOKS), strict=False):
        figure.add_trace(_time_line(backend, look), 1, 1)
        if has_memory:
            figure.add_trace(_memory_line(backend, look), 2, 1)
    ends = [math.log10(min(lengths)) - 0.08, math.log10(max(lengths)) + 0.08]
    figure.update_xaxes(_length_axis(lengths, None), range=ends)
    figure.update_xaxes(title="tokens in the text", row=n_panels, col=1)
    figure.update_yaxes(type="log", fixedrange=True, dtick=1, exponentformat="none")
    for row, unit in enumerate(("ms", "MB")[:n_panels], 1):
        figure.update_yaxes(title=unit, row=row, col=1)
    return titles_left(figure).update_layout(
        height=90 + PANEL_PX * n_panels,
        margin={"t": 70, "b": 5, "r": 5},
        legend=legend(1.08),
    )


def _time_line(backend: BackendLine, look: theme.Look) -> Mark:
    """The median times, with bars from the fastest to the slowest."""
    middle = np.array(backend.seconds)
    spread = {
        "type": "data",
        "symmetric": False,
        "thickness": 1,
        "array": 1e3 * (np.array(backend.slowest) - middle),
        "arrayminus": 1e3 * (middle - np.array(backend.fastest)),
    }
    template = hover(f"{backend.name} at %{{x:,}} tokens: %{{y:,.3r}} ms")
    told = {"name": backend.name, "legendgroup": backend.name, "hovertemplate": template}
    x, y = list(backend.lengths), 1e3 * middle
    return marked_line(x, y, look, width=None, error_y=spread, **told)


def _memory_line(backend: BackendLine, look: theme.Look) -> Mark:
    """The peak memory where it is known; none at all would be off a logarithmic axis."""
    measured = zip(backend.lengths, backend.n_bytes, strict=True)
    known = {length: value / 1e6 for length, value in measured if value is not None}
    x, megabytes = list(known), list(known.values())
    template = hover(f"{backend.name} at %{{x:,}} tokens: %{{customdata:,.3r}} MB")
    told = {"customdata": megabytes, "hovertemplate": template, "showlegend": False}
    shared = {"name": backend.name, "legendgroup": backend.name}
    y = [max(value, 1e-2) for value in megabytes]
    return marked_line(x, y, look, width=None, **shared, **told)


def _ranges(n_tiles: int, size: int, n_positions: int) -> list[str]:
    """Name tiles by their positions."""
    ends = [min((i + 1) * size, n_positions) - 1 for i in range(n_tiles)]
    return [f"{i * size}-{end}" if end > i * size else str(end) for i, end in enumerate(ends)]
