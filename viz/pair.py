"""What lies between two runs, A and B? Differences, distances, and numbers along both texts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from viz import axes, theme
from viz.axes import categories, fixed, ticks
from viz.figure import Figure
from viz.layout import Part, legend, row_sizes
from viz.marks import Mark, bar_below, beside, diverging, hover, in_cells, marked_line, rows_of_bars
from viz.numbers import percent, signed, three_digits

MIN_HEIGHT, MAX_HEIGHT = 260, 560
LABEL_CHARACTER_PX, COLOUR_BAR_PX = 4.5, 64
LEAST_LIMIT = 1e-6
"""Where all differences are smaller, colours stand for up to 1, so that nothing looks like much."""
LEAST_WRITTEN = 0.005
WRITTEN_UP_TO = 12
"""Up to so many columns the numbers stand in the cells."""
MOST_LABELS = 60


def place_labels(a: Sequence[str | None], b: Sequence[str | None], start: int = 0) -> list[str]:
    """Label the places of two texts: one token where both have it, else `cat → dog`.

    Args:
        a: The token of A at each place, None for a gap.
        b: The same of B.
        start: The number of the first place.
    """
    tokens = zip(a, b, strict=True)
    return [f"{i}: {_label(one, other)}" for i, (one, other) in enumerate(tokens, start)]


def _label(a: str | None, b: str | None) -> str:
    if a == b:
        return theme.shorten(a or "")
    return " → ".join("-" if one is None else theme.shorten(one, 9) for one in (a, b))


def difference_heatmap(
    values: Float[np.ndarray, "row column"],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    measure: str,
    shares: bool = True,
) -> Figure:
    """Draw B - A, the first row on top; cells without a number are grey.

    Colours are the same on both sides of zero and reach to the largest difference.

    Args:
        values: The differences; NaN where A or B has nothing.
        rows: Labels of the rows.
        columns: Labels of the columns.
        row_title: What the rows are.
        column_title: What the columns are.
        measure: What is subtracted.
        shares: Whether the numbers are shares, written as percentages.

    Raises:
        ValueError: The numbers are not as many as the labels.
    """
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"{values.shape} do not fit the labels")
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    write = _whole_percent if shares else signed
    written = in_cells(values, write) if len(columns) <= WRITTEN_UP_TO else {}
    number = "%{z:+.3~%}" if shares else "%{z:+.3~g}"
    picture = diverging(
        values.astype(np.float32),
        largest if largest > LEAST_LIMIT else 1.0,
        x=list(columns),
        y=list(rows),
        hoverongaps=False,
        hovertemplate=hover(f"{row_title}: %{{y}}<br>{column_title}: %{{x}}<br>B - A: {number}"),
        colorbar=bar_below(f"B - A of the {measure}", nticks=5, tickformat=".2~g"),
        **written,
    )
    return Figure(picture, _table_layout(rows, columns, row_title, column_title))


def _whole_percent(share: float) -> str:
    """For narrow cells: nothing where it rounds to nothing."""
    return f"{share:+.0%}" if abs(share) >= LEAST_WRITTEN else ""


def _table_layout(
    rows: Sequence[str], columns: Sequence[str], row_title: str, column_title: str
) -> Part:
    above = 40 + LABEL_CHARACTER_PX * max(map(len, columns), default=0)
    height = min(max(len(rows) * theme.CELL_PX, MIN_HEIGHT), MAX_HEIGHT)
    return {
        "xaxis": categories(column_title, list(columns), side="top", tickangle=-90),
        "yaxis": categories(row_title, list(rows), autorange="reversed"),
        "plot_bgcolor": theme.MASKED,
        "height": height + above + COLOUR_BAR_PX,
        "margin": {"t": above, "r": 10, "b": COLOUR_BAR_PX, "l": 10, "pad": 0},
    }


def lines_by_place(
    labels: Sequence[str],
    lines: Sequence[Float[np.ndarray, "place"]],
    names: Sequence[str],
    measure: str,
    selected: int | None = None,
    along: str = "place in the text",
) -> Figure:
    """Draw some numbers of each place of two texts, as one line each.

    Args:
        labels: Of the places.
        lines: The numbers; NaN where there is none.
        names: What each line is.
        measure: What the numbers are, with their unit.
        selected: The place to mark.
        along: What the places are.
    """
    drawn: list[Mark] = []
    for name, values, look in zip(names, lines, theme.LOOKS, strict=False):
        told = [three_digits(value) for value in np.nan_to_num(values).tolist()]
        template = hover(f"%{{text}}<br>{name}: %{{customdata}}")
        extra = {"name": name, "text": labels, "customdata": told, "hovertemplate": template}
        drawn.append(marked_line(list(range(len(labels))), values, look, width=1.5, **extra))
    step = axes.every(len(labels), MOST_LABELS)
    shown = ticks(labels[::step], range(0, len(labels), step))
    band = [] if selected is None else [_line_at(selected)]
    layout = {
        "xaxis": fixed(along, tickangle=-60, **shown),
        "yaxis": fixed(measure, rangemode="tozero"),
        "shapes": band,
        "height": 380,
        "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
        "legend": legend(),
        "showlegend": True,
    }
    return Figure(drawn, layout)


def _line_at(place: int) -> Part:
    line = {"color": theme.HIGHLIGHT, "width": 2, "dash": "dot"}
    return {
        "type": "line",
        "x0": place,
        "x1": place,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": line,
    }


def distance_bars(
    labels: Sequence[str],
    distances: Float[np.ndarray, "row"],
    ids: Sequence[int],
    title: str,
) -> Figure:
    """Draw distances from 0 to 1 as bars, in the order given.

    A click on a bar returns its ID as `customdata`.

    Args:
        labels: What each bar is.
        distances: How long the bars are.
        ids: What a click tells.
        title: What a distance is.
    """
    values = distances.tolist()
    bars = rows_of_bars(
        values,
        theme.HIGHLIGHT,
        customdata=list(ids),
        hovertext=list(labels),
        hovertemplate=hover("%{hovertext}: %{text}"),
        **beside(map(percent, values)),
    )
    layout = {
        "xaxis": axes.shares(title, 1.25 * max(values, default=0.0) or 1.0),
        "yaxis": axes.rows(labels, showgrid=False),
        **row_sizes(len(values)),
    }
    return Figure(bars, layout)
