"""Positions: vectors that stand for them, biases by distance, what moving a text changes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme
from viz.vectors import color_limit

MAX_SIDE = 160
"""Most rows or columns of a picture that are sent; of more, every n-th is drawn."""
_LOOKS = (
    (theme.QUERY, "solid", "circle"),
    (theme.KEY, "dash", "square"),
    (theme.VALUE, "dot", "diamond"),
    (theme.FEEDFORWARD, "dashdot", "x"),
    (theme.HIGHLIGHT, "longdash", "triangle-up"),
    (theme.ATTENTION, "longdashdot", "cross"),
)


def position_vectors(vectors: Float[np.ndarray, "pos d"]) -> go.Figure:
    """Draw position vectors as a picture: one row per position, one column per number."""
    rows, columns = (_every_nth(size) for size in vectors.shape)
    limit = color_limit(vectors)
    figure = go.Figure(
        go.Heatmap(
            z=vectors[rows][:, columns].astype(np.float32),
            x=columns,
            y=rows,
            zmin=-limit,
            zmax=limit,
            colorscale=theme.scale(theme.DIVERGING),
            hovertemplate="position %{y}, number %{x}: %{z:.4f}<extra></extra>",
            colorbar=_bar_below("value"),
        )
    )
    figure.update_xaxes(title=f"number (of {vectors.shape[1]})", side="top", fixedrange=True)
    return _picture(figure, "position")


def position_similarity(vectors: Float[np.ndarray, "pos d"]) -> go.Figure:
    """Draw the cosine between the vectors of every two positions."""
    rows = _every_nth(len(vectors))
    chosen = vectors[rows].astype(np.float64)
    lengths = np.linalg.norm(chosen, axis=-1, keepdims=True)
    unit = np.divide(chosen, lengths, out=np.zeros_like(chosen), where=lengths > 0)
    figure = go.Figure(
        go.Heatmap(
            z=(unit @ unit.T).astype(np.float32),
            x=rows,
            y=rows,
            zmin=-1,
            zmax=1,
            colorscale=theme.scale(theme.DIVERGING),
            hovertemplate="positions %{y} and %{x}<br>cosine %{z:.3f}<extra></extra>",
            colorbar=_bar_below("cosine"),
        )
    )
    figure.update_xaxes(title="position", side="top", fixedrange=True)
    return _picture(figure, "position")


def _bar_below(title: str) -> dict:
    return {
        "orientation": "h", "thickness": 8, "len": 1, "y": 0, "yanchor": "top", "ypad": 8,
        "title": {"text": title, "side": "bottom"},
    }  # fmt: skip


def _picture(figure: go.Figure, rows: str) -> go.Figure:
    figure.update_yaxes(title=rows, autorange="reversed", fixedrange=True)
    return figure.update_layout(height=420, margin={"t": 48, "b": 60, "r": 10})


def _every_nth(size: int) -> np.ndarray:
    return np.arange(0, size, -(-size // MAX_SIDE))


def bias_by_distance(bias: Float[np.ndarray, "head distance"], head: int | None) -> go.Figure:
    """Draw what is added to a score by distance, one line per head.

    Args:
        bias: Measured from distance 0 on, where it counts as 0.
        head: The head to draw in colour.
    """
    n_heads, n_distances = bias.shape
    figure = go.Figure()
    for i in range(n_heads):
        chosen = i == head
        figure.add_scatter(
            x=list(range(n_distances)),
            y=bias[i],
            mode="lines+text",
            line={
                "color": theme.HIGHLIGHT if chosen else theme.RESIDUAL,
                "width": 3 if chosen else 1,
            },
            text=[""] * (n_distances - 1) + [str(i)],
            textposition="middle right",
            cliponaxis=False,
            hovertemplate=f"head {i}, distance %{{x}}: %{{y:+.3f}}<extra></extra>",
        )
    figure.update_xaxes(title="distance from query to key, in tokens", fixedrange=True)
    figure.update_yaxes(title="added to the score", fixedrange=True)
    return figure.update_layout(
        height=340, margin={"t": 10, "b": 50, "r": 30}, showlegend=False, dragmode=False
    )


def shift_change(
    shifts: Sequence[int], changes: Mapping[str, Float[np.ndarray, "shift"]], selected: int
) -> go.Figure:
    """Draw how much of the prediction changes when the whole text moves.

    Args:
        shifts: By how many positions it moved.
        changes: Per model, the share of probability that went to other tokens, from 0 to 1; NaN
            where it was not measured.
        selected: The shift to mark.
    """
    figure = go.Figure()
    for (name, values), (colour, dash, symbol) in zip(changes.items(), _LOOKS, strict=False):
        figure.add_scatter(
            x=list(shifts),
            y=values,
            name=name,
            mode="lines+markers",
            connectgaps=True,
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate=f"{name}<br>moved by %{{x}}: %{{y:.2%}} changed<extra></extra>",
        )
    figure.add_vline(x=selected, line={"color": theme.HIGHLIGHT, "width": 2})
    figure.update_xaxes(title="text moved by (positions)", tickformat="d", fixedrange=True)
    figure.update_yaxes(
        title="prediction changed", tickformat=".0%", range=[-0.03, 1.03], fixedrange=True
    )
    return _lines(figure)


class LossLine(NamedTuple):
    """The loss of one model, or of one way to run it, by position."""

    name: str
    positions: Sequence[float]
    losses: Float[np.ndarray, "bucket"]
    n_tokens: Sequence[int]
    """How many predictions each mean is made of."""


def loss_by_position(lines: Sequence[LossLine], trained: Sequence[int]) -> go.Figure:
    """Draw the mean loss of predicting a token, by its position in the text.

    Args:
        lines: One per model or setting.
        trained: Lengths of the texts that models were trained on, to mark.
    """
    figure = go.Figure()
    for i, line in enumerate(lines):
        colour, dash, symbol = _LOOKS[i % len(_LOOKS)]
        figure.add_scatter(
            x=list(line.positions),
            y=line.losses,
            name=line.name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 7},
            customdata=list(line.n_tokens),
            hovertemplate=(
                f"{line.name}<br>around position %{{x:.0f}}: %{{y:.3f}} nats<br>"
                "mean of %{customdata} predictions<extra></extra>"
            ),
        )
    for length in trained:
        figure.add_vline(
            x=length, line={"color": theme.RESIDUAL, "width": 1, "dash": "dot"},
            annotation={"text": f"trained length {length:,}", "font": {"size": 11}, "yref": "paper",
                        "y": 0.01, "yanchor": "bottom", "xanchor": "left"},
        )  # fmt: skip
    figure.update_xaxes(title="position in the text", tickformat="d", fixedrange=True)
    figure.update_yaxes(title="loss (nats per token)", rangemode="tozero", fixedrange=True)
    return _lines(figure, height=400)


def _lines(figure: go.Figure, height: int = 320) -> go.Figure:
    return figure.update_layout(
        height=height,
        margin={"t": 44, "b": 50, "r": 10},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        dragmode=False,
    )
