"""How did a text come about? What each step cost, and its choices one after the other."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.axes import Axis, axis, down, ticks
from viz.decoding import Candidate, candidate_labels, candidate_layout, candidate_marks
from viz.layout import Part, buttons, slider, titles_left
from viz.marks import bars, hover
from viz.numbers import three_digits

MAX_TOKEN_LABELS = 24
"""Up to here each step of the cost figure is labelled with its token, beyond with its number."""
SLOW = 3.0
"""So many times the second slowest, a step is cut off in the cost figure."""

_PANEL_PX = 120


class _Panel(NamedTuple):
    """What one number per step is, and how it is drawn."""

    title: str
    values: Sequence[float]
    colour: str
    unit: str
    """How a hover writes a value."""
    may_be_slow: bool = False
    """Whether one value may be high by chance, and is then cut."""


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
    milliseconds, kilobytes = [1e3 * value for value in seconds], [n / 1e3 for n in cache_bytes]
    held = "KV cache (kB of keys and values)"
    panels = [
        _Panel("Positions computed", list(rows_computed), theme.RESIDUAL, "%{y:,} positions"),
        _Panel("Time (milliseconds)", milliseconds, theme.RESIDUAL, "%{y:,.3r} ms", True),
        _Panel(held, kilobytes, theme.KEY, "%{y:,.3r} kB"),
    ]
    return _stacked(panels, [theme.shorten(token) for token in tokens])


def _stacked(panels: Sequence[_Panel], labels: Sequence[str]) -> go.Figure:
    """Draw bars per step in panels, one beneath the other."""
    steps = list(range(1, len(labels) + 1))
    titles = [panel.title for panel in panels]
    figure = make_subplots(
        rows=len(panels), shared_xaxes=True, vertical_spacing=0.09, subplot_titles=titles
    )
    cuts = {
        row: cut_above(panel.values) for row, panel in enumerate(panels, 1) if panel.may_be_slow
    }
    for row, panel in enumerate(panels, 1):
        template = hover(f"step %{{x}}: %{{customdata}}<br>{panel.unit}")
        told = {"customdata": labels, "hovertemplate": template}
        figure.add_trace(bars(steps, panel.values, panel.colour, **told), row, 1)
    figure.update_yaxes(rangemode="tozero", fixedrange=True, nticks=5)
    for row, top in cuts.items():
        _cut_bar(figure, row, panels[row - 1], top)
    figure.update_xaxes(range=[0.4, max(len(steps), 8) + 0.6], fixedrange=True)
    figure.update_xaxes(_step_axis(labels), row=len(panels), col=1)
    return titles_left(figure).update_layout(
        showlegend=False,
        dragmode=False,
        bargap=0.25,
        height=len(panels) * _PANEL_PX + 130,
        margin={"t": 30, "b": 90},
    )


def cut_above(values: Sequence[float]) -> float | None:
    """Return where an axis ends so that one slow step flattens no others; None: nowhere."""
    if len(values) < 3:
        return None
    second, slowest = sorted(values)[-2:]
    return 1.5 * second if slowest > SLOW * second > 0 else None


def _cut_bar(figure: go.Figure, row: int, panel: _Panel, top: float | None) -> None:
    """End an axis, and write down the value of the bar that goes beyond."""
    if top is None:
        return
    slowest = max(panel.values)
    figure.update_yaxes(range=[0, top], row=row, col=1)
    figure.add_annotation(
        x=panel.values.index(slowest) + 1,
        y=top,
        text=f"↑ {three_digits(slowest)}",
        showarrow=False,
        xanchor="left",
        yanchor="top",
        xshift=14,
        row=row,
        col=1,
    )


def _step_axis(labels: Sequence[str]) -> Axis:
    if len(labels) > MAX_TOKEN_LABELS:
        return axis("step", tickformat="d")
    steps = range(1, len(labels) + 1)
    return axis("token that the step wrote", tickangle=45, **ticks(labels, steps))


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
    n_rows = max(len(rows) for rows in steps)
    choices = zip(steps, chosen, contexts, strict=True)
    frames = [
        {
            "name": str(first_step + i),
            "data": candidate_marks(rows, token),
            "layout": _frame_layout(candidate_labels(rows, token), context, n_rows),
        }
        for i, (rows, token, context) in enumerate(choices)
    ]
    first = frames[0]
    replay = go.Figure(first["data"], candidate_layout(steps[0], chosen[0]), frames)
    replay.update_layout(first["layout"])
    return replay.update_layout(_replay_layout(n_rows, [frame["name"] for frame in frames]))


def _frame_layout(labels: Sequence[str], context: str, n_rows: int) -> Part:
    """What changes from step to step beside the bars."""
    return {
        "yaxis": {"ticktext": labels, "range": down(n_rows)},
        "title": {"text": f"…{theme.shorten(context, 60)}<b> ?</b>"},
        "xaxis": {"range": [0, 1.2], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    }


def _replay_layout(n_rows: int, names: Sequence[str]) -> Part:
    place = {"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": 130}}
    return {
        "height": n_rows * theme.CELL_PX + 300,
        "margin": {"t": 110, "b": 190},
        "title": {"font": {"size": 15}, "x": 0, "y": 0.98, "yanchor": "top"},
        "updatemenus": buttons(True, 700, **place),
        "sliders": slider(names, True, "Step ", pad={"t": 48}),
    }
