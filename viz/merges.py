"""How does byte-pair encoding build a word? One row per merge, from single bytes to tokens."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from viz import theme
from viz.axes import hidden, rows
from viz.figure import Figure
from viz.layout import row_sizes
from viz.marks import Mark, bars, hover

GAP = 0.06
"""Left free between two pieces, as a share of the smallest piece."""


class _Piece(NamedTuple):
    """A piece of the word in one row."""

    row: int
    start: int
    width: int
    """How many of the smallest pieces it was merged from."""
    text: str
    said: str
    """What the hover says."""
    is_new: bool


def merge_ladder(
    rows: Sequence[Sequence[str]], made: Sequence[int], ranks: Sequence[int]
) -> Figure:
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
    pieces = list(_row(0, rows[0], widths, None, "before the first merge"))
    for row, (new, rank) in enumerate(zip(made, ranks, strict=True), 1):
        left, right = (theme.shorten(piece) for piece in rows[row - 1][new : new + 2])
        widths[new : new + 2] = [sum(widths[new : new + 2])]
        said = f"merge {row} (rank {rank:,}): {left} + {right}"
        pieces += _row(row, rows[row], widths, new, said)
    return _ladder(pieces, len(rows), len(rows[0]))


def _row(
    row: int, texts: Sequence[str], widths: Sequence[int], new: int | None, said: str
) -> Iterator[_Piece]:
    """Place the pieces of one row; all but a new one in a later row are unchanged."""
    start = 0
    for i, (text, width) in enumerate(zip(texts, widths, strict=True)):
        told = f"unchanged in row {row}" if row and i != new else said
        shown = theme.shorten(text, 4 * width + 6)
        yield _Piece(row, start, width, shown, told, i == new)
        start += width


def _ladder(pieces: Sequence[_Piece], n_rows: int, width: int) -> Figure:
    labels = ["start", *map(str, range(1, n_rows))]
    layout = {
        "xaxis": hidden(0, width),
        "yaxis": rows(labels, "Merge", showgrid=False, zeroline=False),
        **row_sizes(n_rows, above=6, below=6),
    }
    return Figure(_boxes(pieces), layout)


def _boxes(pieces: Sequence[_Piece]) -> Mark:
    return bars(
        [piece.width - GAP for piece in pieces],
        [piece.row for piece in pieces],
        [theme.HIGHLIGHT if piece.is_new else theme.SEQUENTIAL[2] for piece in pieces],
        rim={"width": 0},
        orientation="h",
        base=[piece.start + GAP / 2 for piece in pieces],
        width=0.84,
        text=[f"<b>{piece.text}</b>" if piece.is_new else piece.text for piece in pieces],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="both",
        textfont={"size": 14},
        customdata=[piece.said for piece in pieces],
        hovertemplate=hover("%{text}<br>%{customdata}"),
    )
