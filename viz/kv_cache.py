"""Figures of the KV cache: what each step computes and reads, what it holds, what it saves."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from viz import theme
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


def step_grid(
    tokens: Sequence[str],
    positions: Sequence[int],
    computed: Sequence[int],
    read: Sequence[int],
    *,
    selected: int | None = None,
) -> go.Figure:
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
    n_columns = len(labels)
    labelled = n_columns <= MAX_LABELLED
    figure = go.Figure()
    for kind, name, sign, colour in (
        (READ, "read from the cache", "○", ON),
        (COMPUTED, "computed", "●", OFF),
    ):
        if not (cells == kind).any():
            continue
        figure.add_heatmap(
            z=np.where(cells == kind, kind, np.nan).astype(np.float32),
            x=labels,
            y=list(range(1, n_steps + 1)),
            colorscale=[(0, colour), (1, colour)],
            showscale=False,
            xgap=2 if labelled else 0,
            ygap=2 if n_steps <= MAX_LABELLED else 0,
            hoverongaps=False,
            text=np.where(cells == kind, sign, "").tolist() if labelled else None,
            texttemplate="%{text}" if labelled else None,
            textfont={"size": 11},
            hovertemplate=f"step %{{y}}<br>position %{{x}}<br>{name}<extra></extra>",
        )
        figure.add_scatter(
            x=[None], y=[None], mode="markers", hoverinfo="skip",
            marker={"symbol": "square", "size": 12, "color": colour},
            name=f"{sign} {name}" if labelled else name,
        )  # fmt: skip
    if selected is not None:
        figure.add_shape(
            type="rect", x0=-0.5, x1=n_columns - 0.5, y0=selected + 0.5, y1=selected + 1.5,
            line={"color": theme.QUERY, "width": 2},
        )  # fmt: skip
    if labelled:
        figure.update_xaxes(tickvals=labels, tickangle=-90)
    below = 40 + LABEL_CHARACTER_PX * max(map(len, labels))
    figure.update_xaxes(
        title="position",
        type="category",
        range=[-0.5, n_columns - 0.5],
        showgrid=False,
        zeroline=False,
        ticks="",
        fixedrange=labelled,
    )
    figure.update_yaxes(
        title="step", range=[n_steps + 0.5, 0.5], showgrid=False, zeroline=False, ticks="",
        tickformat="d", nticks=8, fixedrange=labelled,
    )  # fmt: skip
    row_px = min(MAX_ROW_PX, MAX_GRID_PX / max(n_steps, 1))
    height = max(row_px * n_steps, 4 * MAX_ROW_PX)
    return figure.update_layout(
        height=height + below + 36,
        margin={"t": 36, "b": below, "l": 50, "r": 8},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False},
        dragmode=False,
    )


def _alike_at_the_start(cells: Float[np.ndarray, "step pos"]) -> int:
    """Return how many leading positions share a column; 0 where all fit or none are alike."""
    if cells.shape[1] <= MAX_LABELLED:
        return 0
    differs = (np.nan_to_num(cells) != np.nan_to_num(cells[:, :1])).any(0)
    alike = int(differs.argmax()) if differs.any() else cells.shape[1]
    return max(0, alike - KEPT_APART)


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
    figure = make_subplots(
        rows=2, shared_xaxes=True, vertical_spacing=0.12,
        subplot_titles=["Time per token", "Time since the start"],
    )  # fmt: skip
    for name, seconds, colour, dash in (
        ("cache off", off, OFF, "dash"),
        ("cache on", on, ON, "solid"),
    ):
        for row, values, unit in (
            (1, 1e3 * seconds, "ms"),
            (2, seconds.cumsum(1), "s"),
        ):
            _add_band(figure, row, name, values, colour, dash, unit)
    figure.update_xaxes(title="token written", tickformat="d", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title="milliseconds", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="seconds", rangemode="tozero", row=2, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    return figure.update_layout(
        height=470,
        margin={"t": 56, "b": 50, "r": 10},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.03, "yanchor": "bottom"},
        dragmode=False,
    )


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
    figure = go.Figure()
    figure.add_scatter(
        x=[*x, *reversed(x)], y=[*ratios.max(0), *ratios.min(0)[::-1]], fill="toself",
        fillcolor=ON, line={"width": 0, "color": ON}, opacity=0.2, hoverinfo="skip",
        showlegend=False, mode="lines",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=np.median(ratios, 0), mode="lines", line={"color": ON, "width": 3},
        customdata=np.stack([ratios.min(0), ratios.max(0)], -1).tolist(),
        hovertemplate="%{x} tokens: %{y:.2f} times as long<br>"
        "%{customdata[0]:.2f} to %{customdata[1]:.2f} in the rounds<extra></extra>",
        name="ratio", showlegend=False,
    )  # fmt: skip
    figure.add_hline(y=1, line={"color": OFF, "dash": "dot", "width": 1})
    figure.update_xaxes(title="tokens written", tickformat="d", rangemode="tozero")
    figure.update_yaxes(title="time without / time with the cache", rangemode="tozero")
    return figure.update_layout(
        height=470, margin={"t": 56, "b": 50, "r": 10}, dragmode=False,
        title={"text": "Ratio against length", "font": {"size": 13}, "x": 0, "xref": "paper",
               "y": 0.955},
    )  # fmt: skip


def cache_growth(n_bytes: Sequence[int], prefill: int) -> go.Figure:
    """Draw the bytes that the cache holds after each step.

    Args:
        n_bytes: Per step.
        prefill: Positions of the prompt, which the first step adds at once.
    """
    steps = list(range(1, len(n_bytes) + 1))
    figure = go.Figure(
        go.Bar(
            x=steps,
            y=[value / 1e3 for value in n_bytes],
            marker={
                "color": ON,
                "pattern": {"shape": ["/", *[""] * (len(steps) - 1)], "size": 6},
            },
            customdata=[
                f"prefill: {prefill:,} positions" if step == 1 else "decode: one position"
                for step in steps
            ],
            hovertemplate="step %{x}, %{customdata}<br>holds %{y:,.1f} kB<extra></extra>",
        )
    )
    figure.update_xaxes(title="step", tickformat="d", range=[0.4, max(len(steps), 8) + 0.6])
    figure.update_yaxes(title="kilobytes held", rangemode="tozero")
    return figure.update_layout(
        height=260, margin={"t": 12, "b": 46, "r": 8}, bargap=0.25, dragmode=False
    )


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
    """
    if not len(key) == len(value) == len(tokens):
        raise ValueError(f"keys {key.shape} and values {value.shape} do not fit {len(tokens)} rows")
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        subplot_titles=["Keys", "Values"],
        column_widths=[key.shape[1], value.shape[1]],
    )
    rows = list(range(len(tokens)))
    labels = theme.position_labels(tokens, start)
    for column, (name, numbers) in enumerate((("key", key), ("value", value)), 1):
        limit = color_limit(numbers)
        figure.add_heatmap(
            z=numbers.astype(np.float32),
            y=rows,
            zmin=-limit,
            zmax=limit,
            colorscale=theme.scale(theme.DIVERGING),
            showscale=False,
            ygap=1 if len(rows) <= MAX_LABELLED else 0,
            customdata=np.broadcast_to(
                np.array(labels, dtype=object)[:, None], numbers.shape
            ).tolist(),
            hovertemplate=f"%{{customdata}}<br>{name}, dimension %{{x}}: %{{z:.4f}}<extra></extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(title="dimension", tickformat="d", row=1, col=column)
    figure.update_xaxes(showgrid=False, zeroline=False, ticks="", fixedrange=True)
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.5], showgrid=False, zeroline=False, ticks="", fixedrange=True
    )
    ticks = rows[:: -(-len(rows) // MAX_LABELLED)]
    figure.update_yaxes(
        title="position", tickvals=ticks, ticktext=[labels[i] for i in ticks], row=1, col=1
    )
    figure.update_annotations(font_size=13)
    height = min(max(MAX_ROW_PX * len(rows), 110), 520)
    return figure.update_layout(
        height=height + 84, margin={"t": 30, "b": 54, "r": 8}, dragmode=False
    )


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
    unit, name = byte_unit(max(n_bytes))
    is_actual = [i == actual for i in range(len(names))]
    figure = go.Figure(
        go.Bar(
            x=[value / unit for value in n_bytes],
            y=list(range(len(names))),
            orientation="h",
            marker={
                "color": ON,
                "pattern": {"shape": ["" if own else "/" for own in is_actual], "size": 7},
            },
            text=[f"{three_digits(value / unit)} {name}" for value in n_bytes],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x:,.4g} " + name + "<extra></extra>",
        )
    )
    longest = max(n_bytes) / unit
    if memory / unit <= 3 * longest:
        figure.add_vline(
            x=memory / unit, line={"color": theme.QUERY, "dash": "dash", "width": 2},
            annotation={"text": "memory", "yanchor": "bottom", "y": 1},
        )  # fmt: skip
        longest = max(longest, memory / unit)
    figure.update_xaxes(title=name, range=[0, 1.2 * longest], fixedrange=True)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[
            f"▶ <b>{theme.shorten(text, 40)}</b>" if own else theme.shorten(text, 40)
            for text, own in zip(names, is_actual, strict=True)
        ],
        range=[len(names) - 0.5, -0.5], fixedrange=True, showgrid=False, ticks="",
        title="query heads share KV heads",
    )  # fmt: skip
    return figure.update_layout(
        height=44 * len(names) + 96, margin={"t": 30, "b": 60, "r": 10}, bargap=0.3, dragmode=False
    )


def three_digits(number: int | float) -> str:
    """Write a number with three digits, or all before the point: 1.23, 45.6, 1,234."""
    return f"{number:,.0f}" if abs(number) >= 99.95 else f"{number:.3g}"


def byte_unit(n_bytes: int | float) -> tuple[float, str]:
    """Return the unit in which a number of bytes is best read: its bytes and its name."""
    for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            return size, name
    return 1.0, "bytes"


def _add_band(
    figure: go.Figure,
    row: int,
    name: str,
    values: Float[np.ndarray, "round step"],
    colour: str,
    dash: str,
    unit: str,
) -> None:
    """Add the median line of some rounds, and the band from the least to the greatest."""
    x = list(range(1, values.shape[1] + 1))
    low, middle, high = values.min(0), np.median(values, 0), values.max(0)
    figure.add_scatter(
        x=[*x, *reversed(x)], y=[*high, *low[::-1]], fill="toself", fillcolor=colour,
        line={"width": 0, "color": colour}, opacity=0.2, hoverinfo="skip", mode="lines",
        showlegend=False, row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=middle, mode="lines+markers", name=name, showlegend=row == 1,
        legendgroup=name, line={"color": colour, "dash": dash, "width": 2.5},
        marker={
            "color": colour,
            "size": [10, *[0] * (len(x) - 1)],
            "symbol": "diamond",
        },
        customdata=np.stack([low, high], -1).tolist(),
        hovertemplate=f"token %{{x}}, {name}: %{{y:.3g}} {unit}<br>"
        f"%{{customdata[0]:.3g}} to %{{customdata[1]:.3g}} {unit} in the rounds<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
