"""What would the model say if it stopped in the middle? Its guesses, layer by layer."""

import html
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from viz import theme
from viz.axes import (
    Axis,
    across,
    categories,
    every,
    fixed,
    ranks,
    rows,
    shares,
    ticks_at,
)
from viz.figure import Figure
from viz.layout import Part, band, box, legend
from viz.marks import Mark, bar_below, hover, marked_line
from viz.numbers import percent

MAX_TEXT_COLUMNS = 16
"""More columns than this are drawn as colours only."""
ROW_PX = 27
CELL_CHARACTERS = 8
LOOKS = theme.LOOKS[:5]
SYMBOLS = {"embedding": "diamond", "attention": "circle", "feedforward": "square"}
Show = Literal["token", "probability", "rank"]


class _Lens(NamedTuple):
    """What each point of the stream would predict after each token."""

    guesses: Sequence[Sequence[str]]
    probabilities: Float[np.ndarray, "point pos"]
    ranks: Int[np.ndarray, "point pos"]
    points: Sequence[str]
    columns: Sequence[str]
    final: Sequence[str]
    final_probabilities: Float[np.ndarray, "point pos"]
    show: Show

    @property
    def known(self) -> Bool[np.ndarray, "point pos"]:
        return np.isfinite(self.probabilities)

    @property
    def written(self) -> bool:
        """Whether there is room for text in the cells."""
        return len(self.columns) <= MAX_TEXT_COLUMNS


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
) -> Figure:
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

    Raises:
        ValueError: The numbers are not as many as the points and tokens.
    """
    shape = (len(points), len(tokens))
    if probabilities.shape != shape or ranks.shape != shape:
        raise ValueError(f"{probabilities.shape} and {ranks.shape} do not fit the labels")
    columns = theme.position_labels(tokens, start)
    numbers = (guesses, probabilities, ranks)
    lens = _Lens(*numbers, points, columns, final, final_probabilities, show)
    column = None if selected is None else selected - start
    return _drawn_table(lens, column if column in range(len(tokens)) else None)


def _drawn_table(lens: _Lens, framed: int | None) -> Figure:
    """Draw the cells, and a frame around one column."""
    n_points, n_pos = len(lens.points), len(lens.columns)
    longest = max((len(html.unescape(label)) for label in lens.columns), default=0)
    above = 30 + 6 * longest
    frames = []
    if framed is not None:
        x, y = (framed - 0.5, framed + 0.5), (-0.5, n_points - 0.5)
        frames.append(box(x, y, theme.HIGHLIGHT, 3 if lens.written else 1))
    fit = {"range": across(n_pos), "fixedrange": True}
    title = "the text so far, up to this token"
    layout = {
        "xaxis": categories(title, side="top", tickangle=-90, **fit),
        "yaxis": rows(lens.points, ticks="", showgrid=False),
        "shapes": frames,
        "plot_bgcolor": theme.MASKED,
        "height": n_points * ROW_PX + above + 64,
        "margin": {"t": above, "r": 10, "b": 64, "l": 10, "pad": 0},
    }
    return Figure(_lens_cells(lens), layout)


def _lens_cells(lens: _Lens) -> Mark:
    places = np.ndindex(lens.ranks.shape)
    texts, hovers = np.full((2, *lens.ranks.shape), "", dtype=object)
    for i, j in places:
        texts[i, j], hovers[i, j] = _cell_text(lens, i, j), _cell_hover(lens, i, j)
    return {
        "type": "heatmap",
        "x": lens.columns,
        "y": list(range(len(lens.points))),
        "text": texts.tolist(),
        "texttemplate": "%{text}" if lens.written else None,
        "textfont": {"size": 14},
        "hovertext": hovers.tolist(),
        "hovertemplate": hover("%{hovertext}"),
        "hoverongaps": False,
        "xgap": int(lens.written),
        "ygap": 1,
        **(_rank_colours(lens) if lens.show == "rank" else _probability_colours(lens)),
    }


def _cell_text(lens: _Lens, i: int, j: int) -> str:
    if not np.isfinite(lens.probabilities[i, j]):
        return ""
    if lens.show == "token":
        return theme.shorten(lens.guesses[i][j], CELL_CHARACTERS)
    if lens.show == "rank":
        return f"{lens.ranks[i, j]:,}"
    return percent(float(lens.probabilities[i, j]))


def _cell_hover(lens: _Lens, i: int, j: int) -> str:
    where = f"{lens.points[i]}, after token {lens.columns[j]}<br>"
    probability = float(lens.probabilities[i, j])
    if not np.isfinite(probability):
        return f"{where}the model computed no number here"
    guess, final = (theme.shorten(token, 30) for token in (lens.guesses[i][j], lens.final[j]))
    of_final = percent(float(lens.final_probabilities[i, j]))
    rank = f"the final {final} has rank {lens.ranks[i, j]:,}, {of_final}"
    return f"{where}would predict {guess}, {percent(probability)}<br>{rank}"


def _rank_colours(lens: _Lens) -> Mark:
    """The logarithms of the ranks, and their colours: the strongest for rank 1."""
    z = np.where(lens.known, np.log10(lens.ranks), np.nan).astype(np.float32)
    last = max(1, int(np.ceil(np.nanmax(z, initial=0))))
    powers = list(range(last + 1))
    ticks = {"tickvals": powers, "ticktext": [f"{10**n:,}" for n in powers]}
    bar = _scale_below("rank of the final token (1 is the top)", **ticks)
    scale = [(1 - at, colour) for at, colour in reversed(theme.scale())]
    return {"z": z, "zmin": 0, "zmax": last, "colorscale": scale, "colorbar": bar}


def _probability_colours(lens: _Lens) -> Mark:
    z = np.where(lens.known, lens.probabilities, np.nan).astype(np.float32)
    ticks = {"tickvals": [0, 0.1, 0.25, 0.5, 1], "tickformat": ".0%"}
    bar, scale = _scale_below("probability of the guess", **ticks), theme.scale(power=2.0)
    return {"z": z, "zmin": 0, "zmax": 1, "colorscale": scale, "colorbar": bar}


def _scale_below(title: str, **ticks: Any) -> Mark:
    return bar_below(title, tickmode="array", tickangle=0, **ticks)


def watched_words(
    values: Float[np.ndarray, "point word"] | Int[np.ndarray, "point word"],
    words: Sequence[str],
    *,
    points: Sequence[str],
    parts: Sequence[theme.StreamPart],
    layers: Sequence[int],
    measure: Literal["probability", "rank"] = "probability",
    selected: int | None = None,
) -> Figure:
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
    symbols = [SYMBOLS[part] for part in parts]
    lines = []
    for i, (word, numbers) in enumerate(zip(words, values.T, strict=True)):
        look = LOOKS[i % len(LOOKS)]._replace(symbol=symbols)
        lines.append(_word_line(word, numbers, points, measure, look))
    if measure == "rank":
        scale = ranks(np.max(values, initial=1))
    else:
        scale = shares("probability", 1.04 * float(np.nanmax(values, initial=0)) or 1.0)
    layout = {
        "xaxis": _point_axis(layers),
        "yaxis": scale,
        "shapes": _layer_band(layers, selected),
        "height": 340,
        "margin": {"l": 10, "r": 10, "t": 44, "b": 10},
        "showlegend": True,
        "legend": legend(1.02),
    }
    return Figure(lines, layout)


def _word_line(
    word: str,
    values: Float[np.ndarray, "point"] | Int[np.ndarray, "point"],
    points: Sequence[str],
    measure: str,
    look: theme.Look,
) -> Mark:
    write = percent if measure == "probability" else "{:,.0f}".format
    template = hover(f"%{{text}}<br>{theme.shorten(word, 30)}: {measure} %{{customdata}}")
    told = {"text": list(points), "hovertemplate": template, "name": theme.shorten(word, 20)}
    written = [write(value) for value in np.nan_to_num(values).tolist()]
    return marked_line(list(range(len(points))), values, look, customdata=written, **told)


def _last_points(layers: Sequence[int]) -> dict[int, int]:
    """The last point of each layer."""
    return {layer: i for i, layer in enumerate(layers)}


def _point_axis(layers: Sequence[int]) -> Axis:
    """Name layers at their last point."""
    last = _last_points(layers)
    step = every(len(last))
    shown = {i: layer for layer, i in last.items() if layer < 0 or layer % step == 0}
    texts = {i: "embed" if layer < 0 else str(layer) for i, layer in shown.items()}
    plain = {"showgrid": False, "zeroline": False}
    return fixed("after layer", range=[-0.4, len(layers) - 0.6], **ticks_at(texts), **plain)


def _layer_band(layers: Sequence[int], selected: int | None) -> list[Part]:
    last = _last_points(layers)
    if selected is None or selected not in last:
        return []
    return [band(last.get(selected - 1, -1) + 0.5, last[selected] + 0.5)]
