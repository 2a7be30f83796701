"""FlashAttention as pictures: its tiles, how its output forms, what it moves, what it costs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from viz import theme
from viz.kv_cache import byte_unit

TO_COME, SKIPPED, DONE, NOW = range(4)
"""What a tile can be."""
TILES = ("to come", "left out: all masked", "done", "now")
MARKS = ("", "x", "✓", "●")
MAX_MARKS = 24
"""Most tiles a side that get a mark."""
MAP_PX, TILE_PX = 300, 300
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")


def tile_map(
    order: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    now: int,
    size: tuple[int, int],
    n_positions: int,
) -> go.Figure:
    """Draw the matrix of scores cut into tiles: which are done, and which one is computed now.

    Args:
        order: (row, column) of the tile of each step.
        shape: How many tiles there are down and across.
        now: The step that is looked at, from 0.
        size: Queries and keys per tile.
        n_positions: Length of the text.
    """
    cells = np.full(shape, SKIPPED)
    steps = np.zeros(shape, dtype=int)
    for step, tile in enumerate(order):
        cells[tile] = NOW if step == now else DONE if step < now else TO_COME
        steps[tile] = step + 1
    colours = (theme.SEQUENTIAL[1], theme.MASKED, theme.ATTENTION, theme.HIGHLIGHT)
    notes = [
        [TILES[cell] + (f", step {step}" if step else "") for cell, step in zip(*row, strict=True)]
        for row in zip(cells, steps, strict=True)
    ]
    rows, columns = (_ranges(n, s, n_positions) for n, s in zip(shape, size, strict=True))
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=columns,
            y=rows,
            zmin=-0.5,
            zmax=3.5,
            colorscale=[(edge / 4, colours[i]) for i in range(4) for edge in (i, i + 1)],
            showscale=False,
            xgap=1,
            ygap=1,
            text=[[MARKS[cell] for cell in row] for row in cells]
            if max(shape) <= MAX_MARKS
            else None,
            texttemplate="%{text}" if max(shape) <= MAX_MARKS else None,
            hovertext=notes,
            hovertemplate="queries %{y}, keys %{x}<br>%{hovertext}<extra></extra>",
        )
    )
    axis = {"type": "category", "ticks": "", "showgrid": False, "fixedrange": True}
    figure.update_xaxes(
        title={"text": "keys and values of a tile", "standoff": 8}, tickangle=-90,
        range=[-0.5, shape[1] - 0.5], **axis,
    )  # fmt: skip
    figure.update_yaxes(title="queries of a tile", range=[shape[0] - 0.5, -0.5], **axis)
    return figure.update_layout(height=MAP_PX + 60, margin={"t": 8, "r": 5, "b": 5, "l": 5})


def tile_scores(
    scores: Float[np.ndarray, "row column"],
    weights: Float[np.ndarray, "row column"],
    queries: Sequence[str],
    keys: Sequence[str],
) -> go.Figure:
    """Draw the scores of one tile, with what the running softmax makes of them on hover.

    Args:
        scores: Before softmax, -inf where masked (left empty).
        weights: exp(score - the largest score of the row in this tile).
        queries: Labels of the rows.
        keys: Labels of the columns.
    """
    readable = np.isfinite(scores)
    limit = float(np.abs(scores[readable]).max(initial=0)) or 1.0
    few = scores.size <= 100
    figure = go.Figure(
        go.Heatmap(
            z=np.where(readable, scores, np.nan).astype(np.float32),
            x=list(keys),
            y=list(queries),
            zmin=-limit,
            zmax=limit,
            colorscale=theme.scale(theme.DIVERGING),
            hoverongaps=False,
            customdata=weights.astype(np.float32),
            texttemplate="%{z:.1f}" if few else None,
            hovertemplate=(
                "query %{y}<br>key %{x}<br>score %{z:.4f}<br>exp(score - row maximum) "
                "%{customdata:.4f}<extra></extra>"
            ),
            colorbar={"orientation": "h", "thickness": 8, "len": 1, "y": 1, "yanchor": "bottom",
                      "title": {"text": "score of query and key (grey: masked)", "side": "top"},
                      "nticks": 7},
        )
    )  # fmt: skip
    axis = {"type": "category", "ticks": "", "showgrid": False, "fixedrange": True}
    figure.update_xaxes(
        title={"text": "keys in fast memory", "standoff": 12}, tickangle=-90,
        range=[-0.5, len(keys) - 0.5], **axis,
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": "queries in fast memory", "standoff": 8},
        range=[len(queries) - 0.5, -0.5], **axis,
    )  # fmt: skip
    return figure.update_layout(
        height=TILE_PX + 100,
        margin={"t": 60, "r": 5, "b": 5, "l": 5, "pad": 0},
        plot_bgcolor=theme.MASKED,
    )


def output_distance(distances: Float[np.ndarray, "step"], now: int) -> go.Figure:
    """Draw how far the running output is from the head's own, step by step.

    Args:
        distances: The largest difference after each step.
        now: The step that is looked at, from 0.
    """
    steps = list(range(1, len(distances) + 1))
    shown = np.maximum(distances, 1e-9)
    figure = go.Figure(
        [
            go.Scatter(
                x=steps, y=shown, mode="lines+markers" if len(steps) <= 60 else "lines",
                line={"color": theme.RESIDUAL, "shape": "hv"}, marker={"size": 5},
                customdata=distances,
                hovertemplate="after step %{x}: difference %{customdata:.1e}<extra></extra>",
            ),
            go.Scatter(
                x=[steps[now]], y=[shown[now]], mode="markers", hoverinfo="skip",
                marker={"color": theme.HIGHLIGHT, "size": 13, "symbol": "circle-open",
                        "line": {"width": 3}},
            ),
        ]
    )  # fmt: skip
    figure.update_xaxes(
        title="step", fixedrange=True, tickformat="d", range=[0.5, len(steps) + 0.5], nticks=12
    )
    figure.update_yaxes(
        title="largest difference", type="log", exponentformat="power", fixedrange=True, nticks=5
    )
    return figure.update_layout(height=220, showlegend=False, margin={"t": 8, "b": 5, "r": 5})


def memory_traffic(
    lengths: Sequence[int],
    standard: Sequence[int],
    tiled: Sequence[int],
    n_positions: int,
    counted: tuple[int, int],
) -> go.Figure:
    """Draw the bytes that attention moves to and from slow memory against the length of the text.

    Args:
        lengths: Numbers of tokens.
        standard: Bytes that standard attention moves at each.
        tiled: Bytes that tiled attention moves at each.
        n_positions: The length of this text.
        counted: What both move at this length.
    """
    figure = go.Figure()
    lines = (
        ("standard", standard, counted[0], theme.KEY, "solid", "circle"),
        ("tiled", tiled, counted[1], theme.QUERY, "dash", "diamond"),
    )
    for name, values, here, colour, dash, symbol in lines:
        figure.add_scatter(
            x=list(lengths), y=list(values), mode="lines", name=name,
            line={"color": colour, "dash": dash, "width": 2},
            customdata=[_bytes(value) for value in values],
            hovertemplate=f"{name} at %{{x:,}} tokens: %{{customdata}}<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[n_positions], y=[here], mode="markers", showlegend=False,
            marker={"color": colour, "symbol": symbol, "size": 11},
            hovertemplate=f"{name}, this prompt ({n_positions:,} tokens): {_bytes(here)}"
            "<extra></extra>",
        )  # fmt: skip
    marked = [length for length in lengths if math.log2(length) % 2 == 0]
    figure.update_xaxes(
        title="tokens in the text", type="log", fixedrange=True, tickmode="array",
        tickvals=marked, ticktext=[f"{length:,}" for length in marked],
    )  # fmt: skip
    ticks = [10**power for power in range(3, 16)]
    figure.update_yaxes(
        title="bytes moved, one head", type="log", fixedrange=True, tickmode="array",
        tickvals=ticks, ticktext=[_bytes(tick) for tick in ticks],
    )  # fmt: skip
    return figure.update_layout(
        height=320,
        margin={"t": 36, "b": 5, "r": 5},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    )


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
    colours = (theme.KEY, theme.VALUE, theme.QUERY, theme.FEEDFORWARD)
    has_memory = any(n is not None for line in lines for n in line.n_bytes)
    titles = ["Time (milliseconds)"] + ["Peak memory (MB)"] * has_memory
    figure = make_subplots(
        rows=len(titles), subplot_titles=titles, shared_xaxes=True, vertical_spacing=0.1
    )
    for i, line in enumerate(lines):
        style = {
            "mode": "lines+markers", "name": line.name, "legendgroup": line.name,
            "line": {"color": colours[i % 4], "dash": DASHES[i % 4]},
            "marker": {"symbol": SYMBOLS[i % 4], "size": 8},
        }  # fmt: skip
        middle = np.array(line.seconds)
        figure.add_scatter(
            x=list(line.lengths), y=1e3 * middle, row=1, col=1, **style,
            error_y={"type": "data", "symmetric": False, "thickness": 1,
                     "array": 1e3 * (np.array(line.slowest) - middle),
                     "arrayminus": 1e3 * (middle - np.array(line.fastest))},
            hovertemplate=f"{line.name} at %{{x:,}} tokens: %{{y:.3g}} ms<extra></extra>",
        )  # fmt: skip
        if has_memory:
            known = [
                (n, value / 1e6)
                for n, value in zip(line.lengths, line.n_bytes, strict=True)
                if value is not None
            ]
            figure.add_scatter(
                x=[n for n, _ in known], y=[max(value, 1e-2) for _, value in known],
                row=2, col=1, showlegend=False, customdata=[value for _, value in known], **style,
                hovertemplate=(
                    f"{line.name} at %{{x:,}} tokens: %{{customdata:.3g}} MB<extra></extra>"
                ),
            )  # fmt: skip
    margin = 0.08
    ends = [math.log10(min(lengths)) - margin, math.log10(max(lengths)) + margin]
    figure.update_xaxes(title="tokens in the text", row=len(titles), col=1)
    figure.update_xaxes(
        type="log", fixedrange=True, range=ends,
        tickmode="array", tickvals=list(lengths), ticktext=[f"{n:,}" for n in lengths],
    )  # fmt: skip
    figure.update_yaxes(type="log", fixedrange=True, dtick=1, exponentformat="none")
    for row, unit in enumerate(("ms", "MB")[: len(titles)], 1):
        figure.update_yaxes(title=unit, row=row, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    return figure.update_layout(
        height=90 + 200 * len(titles),
        margin={"t": 70, "b": 5, "r": 5},
        legend={"orientation": "h", "y": 1.08, "yanchor": "bottom", "x": 0},
    )


def _ranges(n_tiles: int, size: int, n_positions: int) -> list[str]:
    """Name tiles by their positions."""
    ends = [min((i + 1) * size, n_positions) - 1 for i in range(n_tiles)]
    return [f"{i * size}-{end}" if end > i * size else str(end) for i, end in enumerate(ends)]


def _bytes(value: int) -> str:
    unit, name = byte_unit(float(value))
    return f"{value / unit:.3g} {name}"
