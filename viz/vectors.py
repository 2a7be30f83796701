"""What are the numbers of a vector? Every number is one coloured cell of a strip."""

import numpy as np
from jaxtyping import Float

from viz.axes import across, down, fixed, hidden, ticks
from viz.figure import Figure
from viz.marks import Mark, diverging, hover

ROW_LENGTH = 64
MAX_GAPS = 24
"""Rows up to which there is room for a gap between them."""
MAX_LABELS = 6
MAX_HEIGHT = 420


def vector_strip(
    values: Float[np.ndarray, "d"], *, limit: float | None = None, name: str = "number"
) -> Figure:
    """Draw a vector as a strip of cells, wrapped into rows of 64.

    Args:
        values: The numbers, first one top left.
        limit: Where the colours end on both sides; pass the same to compare strips. When omitted,
            the 98th percentile of the absolute values: one huge number would pale all others.
        name: What one number is called on hover.
    """
    limit = color_limit(values) if limit is None else limit
    n_rows, n_columns = -(-len(values) // ROW_LENGTH), min(len(values), ROW_LENGTH)
    cells = np.full(n_rows * n_columns, np.nan, dtype=np.float32)
    cells[: len(values)] = values
    strip = diverging(
        cells.reshape(n_rows, n_columns),
        limit,
        customdata=np.arange(cells.size).reshape(n_rows, n_columns),
        hovertemplate=hover(f"{name} %{{customdata}}: %{{z:.3r}}"),
        hoverongaps=False,
        xgap=1,
        ygap=1 if n_rows <= MAX_GAPS else 0,
        colorbar=_colour_bar(limit),
    )
    shown = range(0, n_rows, -(-n_rows // MAX_LABELS))
    first = ticks([str(row * n_columns) for row in shown], shown)
    left, right = across(n_columns)
    layout = {
        "xaxis": hidden(left, right),
        "yaxis": fixed(range=down(n_rows), showgrid=False, **first),
        "height": min(max(18 * n_rows, 44), MAX_HEIGHT) + 16,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    }
    return Figure(strip, layout)


def _colour_bar(limit: float) -> Mark:
    ends = [f"−{limit:.2g}", "0", f"{limit:.2g}"]  # noqa: RUF001
    place = {"thickness": 8, "len": 1, "xpad": 4}
    return {**place, "tickvals": [-limit, 0, limit], "ticktext": ends}


def color_limit(*vectors: Float[np.ndarray, "..."]) -> float:
    """Return where the colours of strips end, so that a few huge numbers do not pale the rest."""
    largest = np.abs(np.concatenate([np.ravel(vector) for vector in vectors]))
    return float(np.percentile(largest, 98)) or float(largest.max()) or 1.0
