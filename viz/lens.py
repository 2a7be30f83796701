"""Figures of the logit lens: what the model would say if it stopped in the middle."""

import html
from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from viz import theme
from viz.decoding import percent

MAX_TEXT_COLUMNS = 16
"""More columns than this are drawn as colours only."""
ROW_PX = 27
CELL_CHARACTERS = 9
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
WORD_COLOURS = (theme.QUERY, theme.KEY, theme.VALUE, theme.FEEDFORWARD, theme.HIGHLIGHT)
SYMBOLS = {"embedding": "diamond", "attention": "circle", "feedforward": "square"}

Show = Literal["token", "probability", "rank"]


def lens_table(
    guesses: Sequence[Sequence[str]],
    probabilities: Float[np.ndarray, "point pos"],
    ranks: Int[np.ndarray, "point pos"],
    *,
    points: Sequence[str],
    tokens: Sequence[str],
    final: Sequence[str],
    final_probabilities: Float[np.ndarray, "point pos"],
    show: Show = "token",
    start: int = 0,
    selected: int | None = None,
) -> go.Figure:
    """Draw layers x positions: what each point of the stream would predict after each token.

    Colour follows what the cells show: the square root of the probability, or the rank's
    logarithm. With more than `MAX_TEXT_COLUMNS` positions, the cells are colours only.

    Args:
        guesses: The most probable token per point and position.
        probabilities: Its probability.
        ranks: The rank, from 1, that the final token has there.
        points: Labels of the rows, from the embedding to the output.
        tokens: The text, one column per token.
        final: The token that the model ends on after each position.
        final_probabilities: Its probability at each point.
        show: What the cells show: the guess, its probability, or the rank of the final token.
        start: The position of the first column.
        selected: The position to frame.
    """
    n_points, n_pos = len(points), len(tokens)
    if probabilities.shape != (n_points, n_pos) or ranks.shape != (n_points, n_pos):
        raise ValueError(f"{probabilities.shape} and {ranks.shape} do not fit the labels")
    columns = theme.position_labels(tokens, start)
    known = np.isfinite(probabilities)
    texts = [
        [
            _cell_text(show, guesses[i][j], float(probabilities[i, j]), int(ranks[i, j]))
            if known[i, j]
            else ""
            for j in range(n_pos)
        ]
        for i in range(n_points)
    ]
    hovers = [
        [
            f"{points[i]}, after token {columns[j]}<br>"
            + (
                f"would predict {theme.shorten(guesses[i][j], 30)}, "
                f"{percent(float(probabilities[i, j]))}<br>"
                f"the final {theme.shorten(final[j], 30)} has rank {int(ranks[i, j]):,}, "
                f"{percent(float(final_probabilities[i, j]))}"
                if known[i, j]
                else "the model computed no number here"
            )
            for j in range(n_pos)
        ]
        for i in range(n_points)
    ]
    figure = go.Figure(
        go.Heatmap(
            x=columns,
            y=list(range(n_points)),
            text=texts,
            texttemplate="%{text}" if n_pos <= MAX_TEXT_COLUMNS else None,
            textfont={"size": 12},
            hovertext=hovers,
            hovertemplate="%{hovertext}<extra></extra>",
            hoverongaps=False,
            xgap=int(n_pos <= MAX_TEXT_COLUMNS),
            ygap=1,
            **_colours(show, np.where(known, probabilities, np.nan), ranks),
        )
    )
    longest = max((len(html.unescape(label)) for label in columns), default=0)
    above = 30 + 6 * longest
    figure.update_xaxes(
        type="category", title="the text so far, up to this token", side="top", tickangle=-90,
        ticks="", showgrid=False, fixedrange=True, range=[-0.5, n_pos - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(n_points)), ticktext=list(points), ticks="",
        range=[n_points - 0.5, -0.5], showgrid=False, fixedrange=True,
    )  # fmt: skip
    if selected is not None and start <= selected < start + n_pos:
        column = selected - start
        figure.add_shape(
            type="rect", x0=column - 0.5, x1=column + 0.5, y0=-0.5, y1=n_points - 0.5,
            line={"color": theme.HIGHLIGHT, "width": 3 if n_pos <= MAX_TEXT_COLUMNS else 1},
        )  # fmt: skip
    return figure.update_layout(
        plot_bgcolor=theme.MASKED,
        height=n_points * ROW_PX + above + 64,
        margin={"t": above, "r": 10, "b": 64, "l": 10, "pad": 0},
    )


def watched_words(
    values: Float[np.ndarray, "point word"] | Int[np.ndarray, "point word"],
    words: Sequence[str],
    *,
    points: Sequence[str],
    parts: Sequence[Literal["embedding", "attention", "feedforward"]],
    layers: Sequence[int],
    measure: Literal["probability", "rank"] = "probability",
    selected: int | None = None,
) -> go.Figure:
    """Draw a few words' probability or rank through the layers, as one line each.

    Args:
        values: Probabilities, or ranks from 1.
        words: The words' texts.
        points: Label of each point of the stream, for hovers.
        parts: What was added right before each point; circles stand for attention, squares for
            the feedforward.
        layers: The layer of each point; -1 for the embedding.
        measure: What the values are.
        selected: The layer to mark.
    """
    x = list(range(len(points)))
    figure = go.Figure()
    for i, word in enumerate(words):
        shown = [percent(float(v)) if measure == "probability" else f"{int(v):,}"
                 for v in np.nan_to_num(values[:, i])]  # fmt: skip
        figure.add_scatter(
            x=x, y=values[:, i], name=theme.shorten(word, 20), mode="lines+markers",
            line={"color": WORD_COLOURS[i % 5], "dash": DASHES[i % 5], "width": 2},
            marker={"symbol": [SYMBOLS[part] for part in parts], "size": 8},
            customdata=shown, text=list(points),
            hovertemplate=f"%{{text}}<br>{theme.shorten(word, 30)}: {measure} %{{customdata}}"
            "<extra></extra>",
        )  # fmt: skip
    last_of_layer = {layer: i for i, layer in enumerate(layers)}
    every = max(1, -(-len(last_of_layer) // 16))
    ticks = {i: "embed" if layer < 0 else str(layer)
             for layer, i in last_of_layer.items() if layer < 0 or layer % every == 0}  # fmt: skip
    if selected in last_of_layer:
        end = last_of_layer[selected]
        begin = last_of_layer.get(selected - 1, -1)
        figure.update_layout(shapes=[theme.band(begin + 0.5, end + 0.5)])
    figure.update_xaxes(
        title="after layer", tickmode="array", tickvals=list(ticks), ticktext=list(ticks.values()),
        range=[-0.4, len(x) - 0.6], showgrid=False, fixedrange=True, zeroline=False,
    )  # fmt: skip
    if measure == "probability":
        figure.update_yaxes(title="probability", tickformat="~%", rangemode="tozero")
    else:
        highest = float(np.log10(max(10, np.max(values, initial=1))))
        figure.update_yaxes(
            title="rank (1 is the top)", type="log", range=[highest + 0.1, -0.15],
            tickmode="array", tickvals=(powers := [10**n for n in range(int(highest) + 1)]),
            ticktext=[f"{power:,}" for power in powers],
        )  # fmt: skip
    figure.update_yaxes(fixedrange=True)
    return figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 44, "b": 10}, showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def layer_effect(
    probabilities: Float[np.ndarray, "state token"],
    states: Sequence[str],
    parts: Sequence[Literal["embedding", "attention", "feedforward"]],
    tokens: Sequence[str],
) -> go.Figure:
    """Draw some tokens' probabilities before and after the two halves of a layer.

    Args:
        probabilities: One row per state of the stream.
        states: What each state is called, such as `before`.
        parts: What was added right before each state; `embedding` for the state before the layer.
        tokens: The tokens' texts.
    """
    figure = go.Figure()
    looks = {
        "embedding": (theme.RESIDUAL, ""),
        "attention": (theme.ATTENTION, ""),
        "feedforward": (theme.FEEDFORWARD, "/"),
    }
    for row, state, part in zip(probabilities, states, parts, strict=True):
        colour, pattern = looks[part]
        figure.add_bar(
            x=row, y=list(range(len(tokens))), orientation="h", name=state,
            marker={"color": colour, "pattern.shape": pattern},
            text=[percent(float(p)) for p in np.nan_to_num(row)],
            textposition="outside", cliponaxis=False,
            customdata=[theme.shorten(token, 40) for token in tokens],
            hovertemplate=f"{state}: %{{customdata}} %{{x:.4%}}<extra></extra>",
        )  # fmt: skip
    highest = float(np.nanmax(probabilities, initial=0)) or 1.0
    figure.update_xaxes(
        title="probability", tickformat="~%", range=[0, 1.2 * highest], fixedrange=True,
        tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1] if highest > 0.5 else None,
    )  # fmt: skip
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(tokens))),
        ticktext=[theme.shorten(token) for token in tokens],
        range=[len(tokens) - 0.5, -0.5], fixedrange=True, automargin=True,
    )  # fmt: skip
    n_bars = len(tokens) * len(states)
    return figure.update_layout(
        height=n_bars * 19 + 110, margin={"l": 10, "r": 30, "t": 44, "b": 10}, bargap=0.18,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )  # fmt: skip


def logit_parts(
    embedding: float,
    attention: Float[np.ndarray, "layer"],
    feedforward: Float[np.ndarray, "layer"],
    constant: float,
    *,
    logit: float,
    token: str,
    selected: int | None = None,
) -> go.Figure:
    """Draw what the embedding, every attention and every feedforward add to one logit.

    A line follows the sum; it ends at the logit.

    Args:
        embedding: What the embedding adds.
        attention: What each layer's attention adds.
        feedforward: What each layer's feedforward adds.
        constant: What the biases add.
        logit: The model's own value.
        token: What the logit is called.
        selected: The layer to mark.
    """
    n_layers = len(attention)
    layers = list(range(n_layers))
    figure = go.Figure()
    figure.add_bar(
        x=[-1, n_layers] if constant else [-1],
        y=[embedding, constant] if constant else [embedding],
        name="embedding (and bias)" if constant else "embedding",
        marker={"color": theme.RESIDUAL}, width=0.5,
        text=["embedding", "bias"] if constant else ["embedding"], textposition="none",
        hovertemplate="%{text}: %{y:+.3f}<extra></extra>",
    )  # fmt: skip
    for name, values, colour, pattern, offset in (
        ("attention", attention, theme.ATTENTION, "", -0.4),
        ("feedforward", feedforward, theme.FEEDFORWARD, "/", 0.0),
    ):
        figure.add_bar(
            x=layers, y=values, name=name, width=0.4, offset=offset,
            marker={"color": colour, "pattern.shape": pattern},
            hovertemplate=f"{name} of layer %{{x}}: %{{y:+.3f}}<extra></extra>",
        )  # fmt: skip
    sums = embedding + np.cumsum(attention + feedforward)
    x, y = [-1, *layers], [embedding, *sums]
    if constant:
        x, y = [*x, n_layers], [*y, sums[-1] + constant]
    figure.add_scatter(
        x=x, y=y, name="sum so far", mode="lines+markers",
        line={"color": theme.HIGHLIGHT, "width": 2, "dash": "dot"},
        hovertemplate="sum so far: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    level = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": logit, "y1": logit,
        "line": {"color": theme.RESIDUAL, "width": 1},
    }  # fmt: skip
    label = {
        "text": f"{theme.shorten(token, 50)}: {logit:.2f}", "showarrow": False,
        "xref": "paper", "x": 0, "xanchor": "left", "y": logit, "yanchor": "bottom",
    }  # fmt: skip
    shapes = [level] if selected is None else [level, theme.band(selected - 0.5, selected + 0.5)]
    every = max(1, -(-n_layers // 16))
    ticks = {-1: "embed", **{i: str(i) for i in layers[::every]}}
    if constant:
        ticks[n_layers] = "bias"
    figure.update_xaxes(
        title="layer", tickmode="array", tickvals=list(ticks), ticktext=list(ticks.values()),
        range=[-1.5, n_layers - 0.5 + bool(constant)], showgrid=False, fixedrange=True,
        zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(title="added to the logit", zeroline=True, fixedrange=True)
    return figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 44, "b": 10}, barmode="overlay",
        shapes=shapes, annotations=[label],
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def _cell_text(show: Show, guess: str, probability: float, rank: int) -> str:
    if show == "token":
        return theme.shorten(guess, CELL_CHARACTERS)
    return percent(probability) if show == "probability" else f"{rank:,}"


def _colours(
    show: Show, probabilities: Float[np.ndarray, "point pos"], ranks: Int[np.ndarray, "point pos"]
) -> dict:
    """The heatmap's numbers, colour scale and colour bar."""
    bar = {
        "orientation": "h", "thickness": 8, "len": 1, "y": 0, "yanchor": "top", "ypad": 8,
        "tickmode": "array", "tickangle": 0,
    }  # fmt: skip
    if show == "rank":
        z = np.where(np.isfinite(probabilities), np.log10(ranks), np.nan).astype(np.float32)
        last = max(1, int(np.ceil(np.nanmax(z, initial=0))))
        bar |= {
            "tickvals": list(range(last + 1)),
            "ticktext": [f"{10**n:,}" for n in range(last + 1)],
            "title": {"text": "rank of the final token (1 is the top)", "side": "bottom"},
        }
        scale = [(1 - at, colour) for at, colour in reversed(theme.scale())]
        return {"z": z, "zmin": 0, "zmax": last, "colorscale": scale, "colorbar": bar}
    bar |= {
        "tickvals": [0, 0.1, 0.25, 0.5, 1],
        "tickformat": ".0%",
        "title": {"text": "probability of the guess", "side": "bottom"},
    }
    scale = theme.scale(power=2.0)
    z = probabilities.astype(np.float32)
    return {"z": z, "zmin": 0, "zmax": 1, "colorscale": scale, "colorbar": bar}
