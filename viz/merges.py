"""How byte-pair encoding builds a word: one row per merge, from single bytes to tokens."""

from collections.abc import Sequence

import plotly.graph_objects as go

from viz import theme

GAP = 0.06
"""Left free between two pieces, as a share of the smallest piece."""


def merge_ladder(
    rows: Sequence[Sequence[str]], made: Sequence[int], ranks: Sequence[int]
) -> go.Figure:
    """Draw the pieces of a word before the first merge and after each.

    A piece is as wide as what it was merged from, so every byte keeps its column. The piece that
    a merge made is drawn in strong colour.

    Args:
        rows: The pieces before the first merge, then after each.
        made: Per merge, the index of the piece that it made.
        ranks: Per merge, its rank.

    Raises:
        ValueError: There is not one row more than there are merges and ranks.
    """
    if not len(rows) == len(made) + 1 == len(ranks) + 1:
        raise ValueError(f"{len(rows)} rows do not fit {len(made)} merges, {len(ranks)} ranks")
    widths = [1] * len(rows[0])
    base, width, row_of, text, hover, colour = [], [], [], [], [], []
    for row, pieces in enumerate(rows):
        new = None
        said = "before the first merge"
        if row:
            new = made[row - 1]
            left, right = (theme.shorten(piece) for piece in rows[row - 1][new : new + 2])
            said = f"merge {row} (rank {ranks[row - 1]:,}): {left} + {right}"
            widths[new : new + 2] = [sum(widths[new : new + 2])]
        start = 0
        for i, piece in enumerate(pieces):
            base.append(start + GAP / 2)
            width.append(widths[i] - GAP)
            row_of.append(row)
            text.append(theme.shorten(piece, 4 * widths[i] + 6))
            hover.append(said if i == new else f"unchanged in row {row}" if row else said)
            colour.append(theme.HIGHLIGHT if i == new else theme.SEQUENTIAL[2])
            start += widths[i]
    figure = go.Figure(
        go.Bar(
            orientation="h", x=width, y=row_of, base=base, width=0.84,
            text=[f"<b>{piece}</b>" if c == theme.HIGHLIGHT else piece
                  for piece, c in zip(text, colour, strict=True)],
            textposition="inside", insidetextanchor="middle", textangle=0, constraintext="both",
            textfont={"size": 14},
            marker={"color": colour, "line": {"width": 0}},
            customdata=hover, hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, len(rows[0])], fixedrange=True)
    figure.update_yaxes(
        title="Merge", tickmode="array", tickvals=list(range(len(rows))),
        ticktext=["start", *map(str, range(1, len(rows)))],
        range=[len(rows) - 0.5, -0.5], showgrid=False, zeroline=False, fixedrange=True,
    )  # fmt: skip
    return theme.fit_rows(figure, len(rows), above=6, below=6)
