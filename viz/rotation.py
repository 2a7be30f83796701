"""Rotary positions: pairs of dimensions turned by their position, and what each adds to a score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from plotly.subplots import make_subplots

from viz import theme

COLUMNS = 4
_CELL = 2.9
_CURVE_PX, _BELOW_PX = 190, 150


class TurnedPair(NamedTuple):
    """One pair of dimensions of a query and a key, at every step of the slider."""

    label: str
    """What is written above its circle."""
    query: Float[np.ndarray, "step 2"]
    key: Float[np.ndarray, "step 2"]


def rotation_slider(
    pairs: Sequence[TurnedPair],
    scores: Float[np.ndarray, "step"],
    steps: Sequence[int],
    *,
    moved: str,
    start: int = 0,
) -> go.Figure:
    """Draw pairs of a query and a key as arrows that turn, and the score they make.

    One slider moves everything, in the browser. In each circle the arrows are scaled by the longest
    query and the longest key among the pairs shown.

    Args:
        pairs: What to draw as circles.
        scores: The score of the whole head at every step.
        steps: What the slider counts.
        moved: What that is, such as `position of the query`.
        start: The index of the step to begin with.
    """
    n_rows = -(-len(pairs) // COLUMNS)
    centres = [(_CELL * (i % COLUMNS), -_CELL * (i // COLUMNS)) for i in range(len(pairs))]
    longest = [
        max(
            (float(np.linalg.norm(getattr(pair, side), axis=-1).max()) for pair in pairs), default=1
        )
        or 1.0
        for side in ("query", "key")
    ]
    circle_px = 110
    height = n_rows * (circle_px + 26) + _CURVE_PX + _BELOW_PX
    figure = make_subplots(
        rows=2,
        row_heights=[n_rows * (circle_px + 26), _CURVE_PX],
        vertical_spacing=60 / (height - _BELOW_PX),
    )
    angles = np.linspace(0, 2 * np.pi, 49)
    rim = [
        np.append([[x + np.cos(a), y + np.sin(a)] for a in angles], [[np.nan] * 2], 0)
        for x, y in centres
    ]
    rim = np.concatenate(rim) if rim else np.zeros((0, 2))
    figure.add_scatter(
        x=rim[:, 0].round(3), y=rim[:, 1].round(3), mode="lines", hoverinfo="skip",
        line={"color": theme.MASKED, "width": 1}, showlegend=False, row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=list(steps), y=scores, mode="lines", showlegend=False,
        line={"color": theme.RESIDUAL, "width": 2},
        hovertemplate=f"{moved} %{{x}}<br>score %{{y:.4f}}<extra></extra>", row=2, col=1,
    )  # fmt: skip
    moving = [
        _moving(pairs, centres, longest, scores, steps, index, scores[start])
        for index in range(len(steps))
    ]
    for trace, row in zip(moving[start], (1, 1, 2), strict=True):
        figure.add_trace(trace, row, 1)
    figure.frames = [
        go.Frame(name=str(step), data=traces, traces=[2, 3, 4])
        for step, traces in zip(steps, moving, strict=True)
    ]
    figure.update_xaxes(
        visible=False, range=[-1.3, _CELL * (min(COLUMNS, len(pairs)) - 1) + 1.3],
        fixedrange=True, row=1, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        visible=False, range=[-_CELL * (n_rows - 1) - 1.15, 1.75], scaleanchor="x",
        constrain="domain", fixedrange=True, row=1, col=1,
    )  # fmt: skip
    low, high = float(scores.min()), float(scores.max())
    room = 0.25 * max(high - low, 0.1 * max(abs(low), abs(high)), 1e-3)
    figure.update_xaxes(title=moved, tickformat="d", fixedrange=True, row=2, col=1)
    figure.update_yaxes(
        title="score", range=[low - room, high + 2 * room], fixedrange=True, row=2, col=1
    )
    figure.update_layout(
        annotations=[
            {"x": x, "y": y + 1.05, "text": theme.shorten(pair.label, 30), "showarrow": False,
             "yanchor": "bottom", "font": {"size": 11}, "xref": "x", "yref": "y"}
            for pair, (x, y) in zip(pairs, centres, strict=True)
        ]
    )  # fmt: skip
    still = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": False},
        "transition": {"duration": 0},
    }
    play = {**still, "frame": {"duration": 120, "redraw": False}, "fromcurrent": True}
    return figure.update_layout(
        height=height,
        margin={"t": 44, "b": _BELOW_PX - 40, "r": 10},
        dragmode=False,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        updatemenus=[
            {
                "type": "buttons", "direction": "left", "showactive": False,
                "x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom",
                "buttons": [
                    {"label": "▶ Play", "method": "animate", "args": [None, play]},
                    {"label": "❚❚ Pause", "method": "animate", "args": [[None], still]},
                ],
            }
        ],
        sliders=[
            {
                "active": start, "currentvalue": {"prefix": f"{moved}: "}, "pad": {"t": 56},
                "steps": [
                    {"method": "animate", "label": str(step), "args": [[str(step)], still]}
                    for step in steps
                ],
            }
        ],
    )  # fmt: skip


def _moving(
    pairs: Sequence[TurnedPair],
    centres: Sequence[tuple[float, float]],
    longest: Sequence[float],
    scores: Float[np.ndarray, "step"],
    steps: Sequence[int],
    index: int,
    reference: float,
) -> list[go.Scatter]:
    """The arrows of all queries, of all keys, and the score, at one step."""
    traces = []
    for side, limit, colour, dash, symbol in (
        ("query", longest[0], theme.QUERY, "solid", "circle"),
        ("key", longest[1], theme.KEY, "dot", "square"),
    ):
        x: list[float | None] = []
        y: list[float | None] = []
        for pair, (centre_x, centre_y) in zip(pairs, centres, strict=True):
            tip = getattr(pair, side)[index] / limit
            x += [round(centre_x, 3), round(centre_x + float(tip[0]), 3), None]
            y += [round(centre_y, 3), round(centre_y + float(tip[1]), 3), None]
        traces.append(
            go.Scatter(
                x=x, y=y, mode="lines+markers", name=side, hoverinfo="skip",
                line={"color": colour, "width": 3, "dash": dash},
                marker={"color": colour, "symbol": symbol, "size": [0, 8, 0] * len(pairs)},
            )
        )  # fmt: skip
    change = scores[index] - reference
    traces.append(
        go.Scatter(
            x=[steps[index]], y=[float(scores[index])], mode="markers+text", showlegend=False,
            marker={"color": theme.HIGHLIGHT, "size": 12},
            text=[f"{scores[index]:.4f} ({signed(change)})"],
            textposition="top right" if index < len(steps) / 2 else "top left",
            cliponaxis=False, hoverinfo="skip",
        )
    )  # fmt: skip
    return traces


def signed(number: float) -> str:
    """Write a difference, such as `+0.1200`; what is only rounding in its order of magnitude."""
    if number and abs(number) < 5e-5:
        return f"{number:+.0e}"
    return f"{number:+.4f}"


def pair_terms(
    terms: Float[np.ndarray, "pair"],
    wavelengths: Float[np.ndarray, "pair"],
    rest: float | None = None,
) -> go.Figure:
    """Draw what each pair of dimensions adds to one score, the fastest first.

    Args:
        terms: One number per pair.
        wavelengths: Positions per turn, for the hover.
        rest: What the dimensions without rotation add together; None if there are none.
    """
    labels = [str(j) for j in range(len(terms))]
    hovers = [f"pair {j}, one turn in {turn_length(w)}" for j, w in enumerate(wavelengths)]
    values = [float(term) for term in terms]
    if rest is not None:
        labels.append("rest")
        hovers.append("dimensions that are not turned")
        values.append(float(rest))
    figure = go.Figure(
        go.Bar(
            x=list(range(len(values))),
            y=values,
            marker={
                "color": [theme.ATTENTION if value >= 0 else theme.HIGHLIGHT for value in values],
                "pattern": {"shape": ["" if value >= 0 else "/" for value in values], "size": 5},
            },
            customdata=hovers,
            hovertemplate="%{customdata}<br>adds %{y:+.4f}<extra></extra>",
        )
    )
    step = max(1, len(labels) // 24)
    shown = [i for i in range(len(labels)) if i % step == 0 or labels[i] == "rest"]
    figure.update_xaxes(
        title="pair of dimensions, fastest first", tickmode="array", tickvals=shown,
        ticktext=[labels[i] for i in shown], fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(title="adds to the score", zeroline=True, fixedrange=True)
    return figure.update_layout(
        height=300, margin={"t": 10, "b": 50}, showlegend=False, bargap=0.2, dragmode=False
    )


def pair_use(
    use: Float[np.ndarray, "head pair"], wavelengths: Float[np.ndarray, "pair"], head: int | None
) -> go.Figure:
    """Draw how much of each head's scores every pair can make, one row per head.

    Args:
        use: Shares; each row sums to 1 (to less where other dimensions take part).
        wavelengths: Positions per turn, for the hover.
        head: The head to frame.
    """
    n_heads, n_pairs = use.shape
    turns = [turn_length(w) for w in wavelengths]
    figure = go.Figure(
        go.Heatmap(
            z=use.astype(np.float32),
            zmin=0,
            zmax=float(use.max()) or 1.0,
            colorscale=theme.scale(),
            customdata=[turns] * n_heads,
            hovertemplate=(
                "head %{y}, pair %{x}<br>one turn in %{customdata}<br>share %{z:.1%}<extra></extra>"
            ),
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "share"}, "thickness": 8, "tickformat": ".0%"},
        )
    )
    figure.update_xaxes(
        title="pair of dimensions, fastest first", range=[-0.5, n_pairs - 0.5], fixedrange=True,
        tickformat="d", showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(
        title="head", range=[n_heads - 0.5, -0.5], fixedrange=True, tickformat="d", showgrid=False,
        dtick=max(1, n_heads // 16),
    )  # fmt: skip
    if head is not None:
        figure.add_shape(
            type="rect", x0=-0.5, x1=n_pairs - 0.5, y0=head - 0.5, y1=head + 0.5,
            line={"color": theme.HIGHLIGHT, "width": 2},
        )  # fmt: skip
    height = min(max(22 * n_heads, 110), 420)
    return figure.update_layout(height=height + 70, margin={"t": 12, "b": 56})


def wavelength_lines(
    wavelengths: Float[np.ndarray, "pair"],
    others: dict[str, Float[np.ndarray, "pair"]],
    marks: dict[str, int],
) -> go.Figure:
    """Draw after how many positions each pair has turned once around, on a logarithmic axis.

    Args:
        wavelengths: Those of the model.
        others: More lines by name, such as another base's.
        marks: Horizontal lines by name, such as the length of the prompt.
    """
    figure = go.Figure()
    lines = {"this model": wavelengths, **others}
    looks = (("solid", "circle"), ("dash", "square"), ("dot", "diamond"), ("dashdot", "x"))
    for i, (name, values) in enumerate(lines.items()):
        dash, symbol = looks[i % len(looks)]
        finite = np.isfinite(values)
        figure.add_scatter(
            x=np.nonzero(finite)[0].tolist(),
            y=values[finite],
            name=name,
            mode="lines+markers",
            line={"color": theme.QUERY if i == 0 else theme.KEY, "dash": dash},
            marker={"symbol": symbol, "size": 8 if len(values) <= 40 else 5},
            hovertemplate=f"{name}<br>pair %{{x}}: one turn in %{{y:,.1f}} tokens<extra></extra>",
        )
    for name, length in marks.items():
        figure.add_hline(
            y=length, line={"color": theme.RESIDUAL, "width": 1, "dash": "dot"},
            annotation={"text": f"{name}: {length:,}", "xanchor": "left", "x": 0.01,
                        "font": {"size": 11}},
        )  # fmt: skip
    figure.update_xaxes(title="pair of dimensions, fastest first", tickformat="d", fixedrange=True)
    figure.update_yaxes(
        title="tokens per turn", type="log", fixedrange=True, dtick=1, exponentformat="none",
        tickformat=",d",
    )  # fmt: skip
    return figure.update_layout(
        height=360,
        margin={"t": 36, "b": 50},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        dragmode=False,
    )


def turn_length(wavelength: float) -> str:
    """Write how many tokens one turn takes."""
    if not np.isfinite(wavelength):
        return "∞ tokens (it never turns)"
    return f"{wavelength:,.1f} tokens" if wavelength < 100 else f"{wavelength:,.0f} tokens"


def chosen_pairs(n_pairs: int, most: int = 12) -> Int[np.ndarray, "shown"]:
    """Return which pairs to draw as circles: all, or some spread evenly from fast to slow."""
    if n_pairs <= most:
        return np.arange(n_pairs)
    return np.unique(np.linspace(0, n_pairs - 1, most).round().astype(int))
