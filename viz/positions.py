"""How does a model know where a token stands? Vectors, biases, and what moving a text changes."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme
from viz.axes import fixed, shares
from viz.figure import Figure
from viz.layout import Part, legend
from viz.marks import Mark, bar_below, diverging, hover, line, marked_line
from viz.vectors import color_limit

MAX_SIDE = 160
"""Most rows or columns of a picture that are sent; of more, every n-th is drawn."""


def position_vectors(vectors: Float[np.ndarray, "pos d"]) -> Figure:
    """Draw position vectors as a picture: one row per position, one column per number."""
    rows, columns = (_every_nth(size) for size in vectors.shape)
    picture = diverging(
        vectors[rows][:, columns].astype(np.float32),
        color_limit(vectors),
        x=columns,
        y=rows,
        hovertemplate=hover("position %{y}, number %{x}: %{z:.3r}"),
        colorbar=bar_below("value"),
    )
    return Figure(picture, _picture_layout(f"number (of {vectors.shape[1]})"))


def position_similarity(vectors: Float[np.ndarray, "pos d"]) -> Figure:
    """Draw the cosine between the vectors of every two positions."""
    rows = _every_nth(len(vectors))
    chosen = vectors[rows].astype(np.float64)
    lengths = np.linalg.norm(chosen, axis=-1, keepdims=True)
    unit = np.divide(chosen, lengths, out=np.zeros_like(chosen), where=lengths > 0)
    picture = diverging(
        (unit @ unit.T).astype(np.float32),
        1,
        x=rows,
        y=rows,
        hovertemplate=hover("positions %{y} and %{x}<br>cosine %{z:.3r}"),
        colorbar=bar_below("cosine"),
    )
    return Figure(picture, _picture_layout("position"))


def _picture_layout(columns: str) -> Part:
    return {
        "xaxis": fixed(columns, side="top"),
        "yaxis": fixed("position", autorange="reversed"),
        "height": 420,
        "margin": {"t": 48, "b": 60, "r": 10},
    }


def _every_nth(size: int) -> Int[np.ndarray, "shown"]:
    return np.arange(0, size, -(-size // MAX_SIDE))


def bias_by_distance(bias: Float[np.ndarray, "head distance"], head: int | None) -> Figure:
    """Draw what is added to a score by distance, one line per head.

    Args:
        bias: Measured from distance 0 on, where it counts as 0.
        head: The head to draw in colour.
    """
    lines = [_bias_line(i, values, i == head) for i, values in enumerate(bias)]
    layout = {
        "xaxis": fixed("distance from query to key, in tokens"),
        "yaxis": fixed("added to the score"),
        "height": 340,
        "margin": {"t": 10, "b": 50, "r": 30},
        "showlegend": False,
        "dragmode": False,
    }
    return Figure(lines, layout)


def _bias_line(head: int, bias: Float[np.ndarray, "distance"], chosen: bool) -> Mark:
    """One head's line, with the head's number at its end."""
    x = list(range(len(bias)))
    colour, width = (theme.HIGHLIGHT, 3) if chosen else (theme.RESIDUAL, 1)
    number = {"text": [""] * (len(x) - 1) + [str(head)], "textposition": "middle right"}
    template = hover(f"head {head}, distance %{{x}}: %{{y:+.3r}}")
    told = {"mode": "lines+text", "cliponaxis": False, "hovertemplate": template}
    return line(x, bias, colour, width, **number, **told)


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
    lines = []
    for (name, values), look in zip(changes.items(), theme.LOOKS, strict=False):
        template = hover(f"{name}<br>moved by %{{x}}: %{{y:.3p}} changed")
        told = {"name": name, "connectgaps": True, "hovertemplate": template}
        lines.append(marked_line(list(shifts), values, look, width=None, **told))
    layout = {
        "xaxis": fixed("text moved by (positions)", tickformat="d"),
        "yaxis": shares("prediction changed", 1.03, -0.03),
        **_lines_layout(320),
    }
    figure = go.Figure(lines, layout)
    return figure.add_vline(x=selected, line={"color": theme.HIGHLIGHT, "width": 2})


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
    looks = zip(lines, cycle(theme.LOOKS), strict=False)
    layout = {
        "xaxis": fixed("position in the text", tickformat="d"),
        "yaxis": fixed("loss (bits per token)", rangemode="tozero"),
        **_lines_layout(400),
    }
    figure = go.Figure([_loss_line(measured, look) for measured, look in looks], layout)
    place = {"yref": "paper", "y": 0.01, "yanchor": "bottom", "xanchor": "left"}
    for length in trained:
        label = {"text": f"trained length {length:,}", "font": {"size": 14}, **place}
        dotted = {"color": theme.RESIDUAL, "width": 1, "dash": "dot"}
        figure.add_vline(x=length, line=dotted, annotation=label)
    return figure


def _loss_line(measured: LossLine, look: theme.Look) -> Mark:
    template = (
        f"{measured.name}<br>around position %{{x:.0f}}: %{{y:.3r}} bits<br>"
        "mean of %{customdata} predictions"
    )
    told = {"customdata": list(measured.n_tokens), "hovertemplate": hover(template)}
    x = list(measured.positions)
    return marked_line(x, measured.losses, look, 7, None, name=measured.name, **told)


def _lines_layout(height: int) -> Part:
    margin = {"t": 44, "b": 50, "r": 10}
    above = {"showlegend": True, "legend": legend()}
    return {"height": height, "margin": margin, "dragmode": False, **above}
