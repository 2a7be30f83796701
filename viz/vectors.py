"""Vectors as strips: every number of a vector is one coloured cell."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from viz import theme

ROW_LENGTH = 64
MAX_HEIGHT = 420


def vector_strip(
    values: Float[np.ndarray, "d"], *, limit: float | None = None, name: str = "number"
) -> go.Figure:
    """Draw a vector as a strip of cells, wrapped into rows of 64.

    Args:
        values: The numbers, first one top left.
        limit: Where the colours end on both sides; pass the same to compare strips. When omitted,
            the 98th percentile of the absolute values: one huge number would pale all others.
        name: What one number is called on hover.
    """
    limit = color_limit(values) if limit is None else limit
    n_rows = -(-len(values) // ROW_LENGTH)
    n_columns = min(len(values), ROW_LENGTH)
    cells = np.full(n_rows * n_columns, np.nan, dtype=np.float32)
    cells[: len(values)] = values
    first = np.arange(n_rows) * n_columns
    strip = go.Heatmap(
        z=cells.reshape(n_rows, n_columns),
        zmin=-limit,
        zmax=limit,
        colorscale=theme.scale(theme.DIVERGING),
        customdata=np.arange(cells.size).reshape(n_rows, n_columns),
        hovertemplate=f"{name} %{{customdata}}: %{{z:.4f}}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1 if n_rows <= 24 else 0,
        colorbar={
            "thickness": 8,
            "len": 1,
            "xpad": 4,
            "tickvals": [-limit, 0, limit],
            "ticktext": [f"−{limit:.2g}", "0", f"{limit:.2g}"],  # noqa: RUF001
        },
    )
    step = -(-n_rows // 6)
    return go.Figure(
        strip,
        {
            "xaxis": {"visible": False, "range": [-0.5, n_columns - 0.5], "fixedrange": True},
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(n_rows))[::step],
                "ticktext": [str(i) for i in first[::step]],
                "range": [n_rows - 0.5, -0.5],
                "showgrid": False,
                "fixedrange": True,
            },
            "height": min(max(18 * n_rows, 44), MAX_HEIGHT) + 16,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        },
    )


def color_limit(*vectors: Float[np.ndarray, "..."]) -> float:
    """Return where the colours of strips end, so that a few huge numbers do not pale the rest."""
    largest = np.abs(np.concatenate([np.ravel(vector) for vector in vectors]))
    return float(np.percentile(largest, 98)) or float(largest.max()) or 1.0
