"""Figures of a whole generation: what each step cost, and its choices one after the other."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.decoding import Candidate, candidates_bars

MAX_TOKEN_LABELS = 24
"""Up to here each step of the cost figure is labelled with its token, beyond with its number."""

_PANEL_PX = 120


def step_costs(
    tokens: Sequence[str],
    rows_computed: Sequence[int],
    seconds: Sequence[float],
    cache_bytes: Sequence[int],
) -> go.Figure:
    """Draw what each step took: positions computed, time, and the size of the KV cache.

    Args:
        tokens: The token that each step wrote, for display.
        rows_computed: Positions run through the model for it.
        seconds: Time that run took.
        cache_bytes: Bytes of keys and values held after it.
    """
    steps = list(range(1, len(tokens) + 1))
    labels = [theme.shorten(token) for token in tokens]
    figure = make_subplots(
        rows=3,
        shared_xaxes=True,
        vertical_spacing=0.09,
        subplot_titles=[
            "Positions computed",
            "Time (milliseconds)",
            "KV cache (kB of keys and values)",
        ],
    )
    panels = [
        (list(rows_computed), theme.RESIDUAL, "%{y:,} positions"),
        ([1e3 * value for value in seconds], theme.RESIDUAL, "%{y:.1f} ms"),
        ([value / 1e3 for value in cache_bytes], theme.KEY, "%{y:,.1f} kB"),
    ]
    for row, (values, colour, unit) in enumerate(panels, 1):
        bar = go.Bar(
            x=steps,
            y=values,
            marker_color=colour,
            customdata=labels,
            hovertemplate=f"step %{{x}}: %{{customdata}}<br>{unit}<extra></extra>",
        )
        figure.add_trace(bar, row, 1)
        figure.update_yaxes(rangemode="tozero", fixedrange=True, nticks=5, row=row, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    figure.update_xaxes(range=[0.4, max(len(steps), 8) + 0.6], fixedrange=True)
    if len(steps) <= MAX_TOKEN_LABELS:
        title = "token that the step wrote"
        ticks = {"tickmode": "array", "tickvals": steps, "ticktext": labels, "tickangle": 45}
    else:
        title, ticks = "step", {"tickformat": "d"}
    figure.update_xaxes(title=title, row=3, col=1, **ticks)
    return figure.update_layout(
        showlegend=False, dragmode=False, bargap=0.25, height=3 * _PANEL_PX + 130,
        margin={"t": 30, "b": 90},
    )  # fmt: skip


def choices_replay(
    steps: Sequence[Sequence[Candidate]],
    chosen: Sequence[int],
    contexts: Sequence[str],
    first_step: int = 1,
) -> go.Figure:
    """Draw the candidates of every step in one figure with a slider: scrubbing asks no server.

    Args:
        steps: The rows of `candidates_bars` for each step; as many rows in each.
        chosen: The token ID that each step took.
        contexts: The end of the text before each step, for display.
        first_step: The number of the first one.
    """
    figures = [candidates_bars(rows, token) for rows, token in zip(steps, chosen, strict=True)]
    first = figures[0]
    n_rows = max(len(rows) for rows in steps)
    frames = []
    for i, (figure, context) in enumerate(zip(figures, contexts, strict=True)):
        layout = {
            "yaxis": {"ticktext": figure.layout.yaxis.ticktext, "range": [n_rows - 0.5, -0.5]},
            "title": {"text": f"…{theme.shorten(context, 60)}<b> ?</b>"},
            "xaxis": {"range": [0, 1.2], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        }
        frames.append(go.Frame(name=str(first_step + i), data=figure.data[:4], layout=layout))
    animate = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": True},
        "transition": {"duration": 0},
    }
    play = {**animate, "frame": {"duration": 700, "redraw": True}, "fromcurrent": True}
    replay = go.Figure(frames[0].data, first.layout, frames)
    replay.update_layout(frames[0].layout)
    return replay.update_layout(
        height=n_rows * theme.CELL_PX + 300,
        margin={"t": 110, "b": 190},
        title={"font": {"size": 15}, "x": 0, "y": 0.98, "yanchor": "top"},
        updatemenus=[
            {
                "type": "buttons", "direction": "left", "showactive": False,
                "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": 130},
                "buttons": [
                    {"label": "▶ Play", "method": "animate", "args": [None, play]},
                    {"label": "❚❚ Pause", "method": "animate", "args": [[None], animate]},
                ],
            }
        ],
        sliders=[
            {
                "currentvalue": {"prefix": "Step "}, "pad": {"t": 48},
                "steps": [
                    {"method": "animate", "label": frame.name, "args": [[frame.name], animate]}
                    for frame in frames
                ],
            }
        ],
    )  # fmt: skip
