"""Which experts did a router pick for each token, and with what weight?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from viz import theme
from viz.axes import across, categories, down, fixed
from viz.figure import Figure
from viz.layout import box
from viz.marks import Mark, bar_below, cells, hover, in_cells, largest

MAX_TEXT_COLUMNS = 16
"""Tokens up to which the weights are written into the cells."""
MAX_HIGH_ROWS = 24
"""Experts up to which each has a row that is high enough for its number."""


def expert_heatmap(
    weights: Float[np.ndarray, "pos expert"],
    tokens: Sequence[str],
    *,
    measure: str = "weight",
    start: int = 0,
    selected: int | None = None,
) -> Figure:
    """Draw which experts a router picked for each token, and with what weight.

    Args:
        weights: NaN where an expert did not run.
        tokens: One column per token.
        measure: What the numbers are called.
        start: The position of the first column.
        selected: The position to frame.
    """
    n_pos, n_experts = weights.shape
    few = n_experts <= MAX_HIGH_ROWS
    frames = []
    if selected is not None and 0 <= selected - start < n_pos:
        column = (selected - start - 0.5, selected - start + 0.5)
        width = 3 if n_pos <= MAX_TEXT_COLUMNS else 1
        frames.append(box(column, (-0.5, n_experts - 0.5), theme.HIGHLIGHT, width))
    longest = max((len(token) for token in tokens), default=-4)
    above = 40 + 7 * min(longest + 4, theme.LABEL_LENGTH + 5)
    fit = {"range": across(n_pos), "fixedrange": True}
    plain = {"ticks": "", "showgrid": False}
    layout = {
        "xaxis": categories("token", side="top", tickangle=-90, **fit),
        "yaxis": fixed("expert", dtick=1 if few else 8, range=down(n_experts), **plain),
        "shapes": frames,
        "plot_bgcolor": theme.MASKED,
        "height": n_experts * (24 if few else max(3, 600 // n_experts)) + above + 70,
        "margin": {"t": above, "r": 10, "b": 70, "l": 10},
    }
    columns = theme.position_labels(tokens, start)
    return Figure(_expert_cells(weights, columns, measure), layout)


def _expert_cells(
    weights: Float[np.ndarray, "pos expert"], columns: Sequence[str], measure: str
) -> Mark:
    written = len(columns) <= MAX_TEXT_COLUMNS
    return cells(
        weights.T.astype(np.float32),
        (-largest(-weights), largest(weights) or 1.0),
        theme.scale(),
        x=columns,
        y=list(range(weights.shape[1])),
        **(in_cells(weights.T, "{:.2f}".format) if written else {}),
        hoverongaps=False,
        xgap=int(written),
        ygap=1,
        hovertemplate=hover(f"token %{{x}}<br>expert %{{y}}: {measure} %{{z:.3r}}"),
        colorbar=bar_below(measure),
    )
