"""Which weights did more training move, and how far?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import categories
from viz.figure import Figure
from viz.marks import bar_below, cells, hover, in_cells, largest
from viz.numbers import percent

WRITTEN_UP_TO = 14
"""Layers up to which the numbers stand in the cells."""
MEASURE = "relative change"


def change_heatmap(
    changes: Float[np.ndarray, "part column"], parts: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Draw how far each array of weights moved, one row per kind, one column per layer.

    Args:
        changes: Frobenius norm of the difference over that of the base; NaN where there is none.
        parts: What each row is.
        columns: What each column is.
    """
    written = len(columns) <= WRITTEN_UP_TO
    picture = cells(
        changes.astype(np.float32),
        (0, largest(changes) or 1.0),
        theme.scale(),
        x=list(columns),
        y=list(parts),
        **(in_cells(changes, percent) if written else {}),
        hoverongaps=False,
        xgap=1,
        ygap=1,
        hovertemplate=hover("%{y}<br>layer %{x}: moved by %{z:.3~%} of its size"),
        colorbar=bar_below(MEASURE, tickformat=".0%"),
    )
    layout = {
        "xaxis": categories("layer", list(columns), side="top"),
        "yaxis": categories("weights", list(parts), autorange="reversed"),
        "plot_bgcolor": theme.MASKED,
        "height": 130 + theme.CELL_PX * len(parts),
        "margin": {"t": 56, "r": 10, "b": 64, "l": 10, "pad": 4},
    }
    return Figure(picture, layout)
