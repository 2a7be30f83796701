"""Next-token probabilities: the most probable tokens, and one bar for all the others."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme

BAR = theme.SEQUENTIAL[6]
RAW_BAR = theme.SEQUENTIAL[2]


def most_probable(
    probabilities: Float[np.ndarray, "vocab"], k: int
) -> Int[np.ndarray, "candidates"]:
    """Return the IDs of the k most probable tokens, the best first; equal ones by ID."""
    return np.argsort(-probabilities, kind="stable")[:k]


def next_token_bars(
    probabilities: Float[np.ndarray, "vocab"],
    tokens: Mapping[int, str],
    *,
    raw: Float[np.ndarray, "vocab"] | None = None,
    chosen: int | None = None,
) -> go.Figure:
    """Draw candidates as bars, and what all other tokens of the vocabulary have together.

    Args:
        probabilities: Over the whole vocabulary; sums to one, and so do the bars.
        tokens: The candidates' texts by token ID, in the order to draw them.
        raw: The probabilities before decoding options changed them, drawn as thin bars beneath.
        chosen: The token that was picked: marked by an arrow and its own colour.
    """
    ids = list(tokens)
    n_others = len(probabilities) - len(ids)
    names = [_name(token, token_id == chosen) for token_id, token in tokens.items()]
    if n_others:
        names.append(f"<i>all other {n_others:,} tokens</i>")
    figure = go.Figure()
    if raw is not None:
        figure.add_bar(
            **_bars(raw, ids, n_others), width=0.3, offset=0.12, name="model alone",
            marker_color=RAW_BAR,
            hovertemplate="model alone: %{x:.3%}<extra></extra>",
        )  # fmt: skip
    values = _bars(probabilities, ids, n_others)
    hovers = [f"{theme.shorten(token, 40)} · ID {token_id}" for token_id, token in tokens.items()]
    removed = [raw is not None and probabilities[i] == 0 < raw[i] for i in ids]
    figure.add_bar(
        **values,
        **({} if raw is None else {"width": 0.5, "offset": -0.4}),
        name="with the options" if raw is not None else "",
        marker={
            "color": [theme.HIGHLIGHT if i == chosen else BAR for i in ids] + [theme.RESIDUAL],
            "pattern": {"shape": [""] * len(ids) + ["/"]},
        },
        text=[
            "removed" if gone else percent(p)
            for gone, p in zip([*removed, False], values["x"], strict=False)
        ],
        textposition="outside",
        cliponaxis=False,
        hovertext=[*hovers, f"{n_others:,} tokens together"][: len(names)],
        hovertemplate="%{hovertext}<br>%{x:.4%}<extra></extra>",
    )
    highest = max(max(trace.x) for trace in figure.data)
    figure.update_xaxes(
        title="probability", tickformat=".0%", range=[0, 1.2 * highest], fixedrange=True
    )
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=names,
        range=[len(names) - 0.45, -0.55], fixedrange=True, automargin=True,
    )  # fmt: skip
    figure.update_layout(showlegend=raw is not None, legend={"orientation": "h", "y": 1.12, "x": 0})
    figure.update_layout(margin={"l": 10, "r": 30}, barmode="overlay")
    return theme.fit_rows(figure, len(names), above=10 if raw is None else 40)


def percent(probability: float) -> str:
    """Write a probability so that a small one does not look like zero."""
    if probability == 0 or probability >= 0.001:
        return f"{probability:.1%}"
    return f"{probability:.3%}" if probability >= 1e-5 else f"{100 * probability:.0e}%"


def _bars(
    probabilities: Float[np.ndarray, "vocab"], ids: list[int], n_others: int
) -> dict[str, object]:
    values = [float(probabilities[token_id]) for token_id in ids]
    if n_others:
        values.append(float(np.delete(probabilities, ids).sum()))
    return {"x": values, "y": list(range(len(values))), "orientation": "h"}


def _name(token: str, is_chosen: bool) -> str:
    return f"<b>▶ {theme.shorten(token)}</b>" if is_chosen else theme.shorten(token)
