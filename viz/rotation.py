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
    measure: str = "score",
) -> go.Figure:
    """Draw pairs of a query and a key as arrows that turn, and the score they make.

    One slider moves everything, in the browser. An arrow's length follows the square root of the
    pair's length, so that short ones stay visible; the longest query and the longest key reach the
    rim of their circle.

    Args:
        pairs: What to draw as circles.
        scores: The score of the whole head at every step.
        steps: What the slider counts.
        moved: What that is, such as `position of the query`.
        start: The index of the step to begin with.
        measure: What query and key make together.
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
    circle_px = 118
    height = n_rows * (circle_px + 26) + _CURVE_PX + _BELOW_PX
    figure = make_subplots(
        rows=2,
        row_heights=[n_rows * (circle_px + 26), _CURVE_PX],
        vertical_spacing=34 / (height - _BELOW_PX),
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
        hovertemplate=f"{moved} %{{x}}<br>{measure} %{{y:.4f}}<extra></extra>", row=2, col=1,
    )  # fmt: skip
    low, high = float(scores.min()), float(scores.max())
    room = 0.25 * max(high - low, 0.1 * max(abs(low), abs(high)), 1e-3)
    top = high + 2.5 * room
    moving = [
        _arrows(pairs, centres, "query", longest[0], len(steps)),
        _arrows(pairs, centres, "key", longest[1], len(steps)),
        _marker(scores, steps, start, top),
    ]
    looks = [
        {"name": "query", "line": {"color": theme.QUERY, "width": 3},
         "marker": {"color": theme.QUERY, "size": [0, 8, 0] * len(pairs)}},
        {"name": "key", "line": {"color": theme.KEY, "width": 3, "dash": "dot"},
         "marker": {"color": theme.KEY, "symbol": "square", "size": [0, 8, 0] * len(pairs)}},
        {"mode": "markers+text", "marker": {"color": theme.HIGHLIGHT, "size": [12, 0]},
         "textposition": "bottom right", "showlegend": False},
    ]  # fmt: skip
    for values, look, row in zip(moving, looks, (1, 1, 2), strict=True):
        trace = {"mode": "lines+markers", "hoverinfo": "skip"} | values[start] | look
        figure.add_trace(go.Scatter(trace), row, 1)
    # A frame holds only what moves: everything else costs time to check and to send.
    figure.frames = [
        {"name": str(step), "data": list(values), "traces": [2, 3, 4]}
        for step, *values in zip(steps, *moving, strict=True)
    ]
    figure.update_xaxes(
        visible=False, range=[-1.3, _CELL * (min(COLUMNS, len(pairs)) - 1) + 1.3],
        fixedrange=True, row=1, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        visible=False, range=[-_CELL * (n_rows - 1) - 1.15, 1.75], scaleanchor="x",
        constrain="domain", constraintoward="top", fixedrange=True, row=1, col=1,
    )  # fmt: skip
    figure.update_xaxes(title=moved, tickformat="d", fixedrange=True, row=2, col=1)
    figure.update_yaxes(title=measure, range=[low - room, top], fixedrange=True, row=2, col=1)
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


def _arrows(
    pairs: Sequence[TurnedPair],
    centres: Sequence[tuple[float, float]],
    side: str,
    longest: float,
    n_steps: int,
) -> list[dict]:
    """All arrows of one side at every step: from each centre to a tip, then a gap."""
    tips = np.stack([getattr(pair, side) for pair in pairs], 1)
    lengths = np.linalg.norm(tips, axis=-1, keepdims=True)
    tips = tips / np.sqrt(np.where(lengths > 0, lengths, 1) * longest)
    centre = np.broadcast_to(np.array(centres, dtype=float), tips.shape)
    gap = np.full(tips.shape, np.nan)
    path = np.stack([centre, centre + tips, gap], 2).reshape(n_steps, -1, 2).round(3)
    points = np.where(np.isnan(path), None, path)
    return [{"x": step[:, 0].tolist(), "y": step[:, 1].tolist()} for step in points]


def _marker(
    scores: Float[np.ndarray, "step"], steps: Sequence[int], start: int, top: float
) -> list[dict]:
    """Where the score is at every step, and what is written above the curve."""
    return [
        {
            "x": [step, steps[0]],
            "y": [float(score), top],
            "text": ["", f"<b>{score:.4f}</b> (changed by {signed(float(score - scores[start]))})"],
        }
        for step, score in zip(steps, scores, strict=True)
    ]


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
    n_pairs = max(len(values) for values in lines.values())
    for name, length in marks.items():
        figure.add_scatter(
            x=[-0.4, n_pairs - 0.6],
            y=[length, length],
            mode="lines+text",
            line={"color": theme.RESIDUAL, "width": 1, "dash": "dot"},
            text=["", f"{name}: {length:,} tokens"],
            textposition="top left",
            hoverinfo="skip",
            showlegend=False,
        )
    everything = np.concatenate([*lines.values(), [float(length) for length in marks.values()]])
    powers = np.log10(everything[np.isfinite(everything)])
    figure.update_xaxes(
        title="pair of dimensions, fastest first", tickformat="d", fixedrange=True,
        range=[-0.5, n_pairs - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        title="tokens per turn", type="log", fixedrange=True, dtick=1, tickformat=",d",
        range=[np.floor(powers.min()), np.ceil(powers.max())],
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
