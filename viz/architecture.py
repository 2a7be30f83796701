"""How is a block built? One block from below to above, and the transformer of 2017."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from viz import theme
from viz.axes import fixed, ticks
from viz.block_layout import (
    LEFT,
    RIGHT,
    STREAM_X,
    BlockLayout,
    BlockPieces,
    Box,
    Piece,
    Plus,
    laid_out,
)
from viz.figure import Figure
from viz.layout import Part, diagram, note, row_sizes
from viz.marks import Mark, always, hover, line, rows_of_bars, signs
from viz.numbers import percent

UNIT_PX = 50
_EDGES = {"l": 2, "r": 2, "t": 4, "b": 4}


class _Mark(NamedTuple):
    """A number that shows a difference, at the corner of what differs."""

    x: float
    y: float
    number: int
    title: str


def block_structure(pieces: BlockPieces) -> Figure:
    """Draw one block, read from below: the stream at the left, the parts beside it.

    Numbered marks show where this block differs from another one; a click on a mark reports its
    number as `customdata`.

    Args:
        pieces: The parts and how they are joined. With an `unknown` wiring, the parts are drawn
            without lines to the stream.
    """
    return _drawn(laid_out(pieces), pieces)


def _drawn(layout: BlockLayout, pieces: BlockPieces) -> Figure:
    top = layout.y
    stream = line([STREAM_X] * 2, [0.1, top], theme.RESIDUAL, 6, hoverinfo="skip")
    lines = [line(x, y, colour, hoverinfo="skip") for x, y, colour in layout.lines]
    traces = [stream, *lines, *map(_outline, layout.boxes), _plus_signs(layout.pluses)]
    if marks := _marks(layout, pieces):
        traces.append(_discs(marks))
    enters = _note(0.25, 0.3, pieces.enters or "a token's vector enters", "left")
    leaves = _note(0.25, top - 0.15, "to the next block", "left")
    notes = [*map(_title, layout.boxes), enters, leaves]
    height = round((top + 0.3) * UNIT_PX) + 8
    reach = (-1.25, RIGHT + 0.35), (-0.1, top + 0.2)
    return Figure(traces, diagram(*reach, notes, height=height, margin=_EDGES))


def _outline(box: Box) -> Mark:
    """A box, in another colour where it differs."""
    fill = theme.SEQUENTIAL[1 if box.is_norm else 0]
    if box.piece.marks:
        return _filled(box.x, box.y, theme.HIGHLIGHT, 3.0, fill)
    return _filled(box.x, box.y, box.colour, 1.5, fill)


def _plus_signs(pluses: Sequence[Plus]) -> Mark:
    said = [f"what {plus.name} gives is added to the stream" for plus in pluses]
    return signs(
        [STREAM_X] * len(pluses),
        [plus.y for plus in pluses],
        ["<b>+</b>"] * len(pluses),
        theme.RESIDUAL,
        21,
        15,
        hovertext=said,
        hovertemplate=hover("%{hovertext}"),
    )


def _marks(layout: BlockLayout, pieces: BlockPieces) -> list[_Mark]:
    """All numbers of differences: those of boxes, of sums, and of what enters."""
    marks = [
        _Mark(box.x[1], box.y[1], number, box.piece.title)
        for box in layout.boxes
        for number in box.piece.marks
    ]
    for plus in layout.pluses:
        corner = (STREAM_X, plus.y + 0.32)
        marks += [_Mark(*corner, number, "how parts are joined") for number in plus.marks]
    return marks + [_Mark(STREAM_X, 0.3, number, "what enters") for number in pieces.enters_marks]


def _title(box: Box) -> Part:
    return _note(sum(box.x) / 2, sum(box.y) / 2, _text(box.piece, not box.is_norm))


def _text(piece: Piece, bold: bool) -> str:
    title = f"<b>{piece.title}</b>" if bold else piece.title
    detail = f"<br><span style='font-size:0.85em'>{piece.detail}</span>" if piece.detail else ""
    return title + detail


def _filled(
    x: tuple[float, float],
    y: tuple[float, float],
    colour: str,
    width: float,
    fill: str,
    dash: str = "solid",
) -> Mark:
    """A filled rectangle: a trace, since shapes are drawn either under all lines or over all."""
    (x0, x1), (y0, y1) = x, y
    corners = [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0]
    inside = {"fill": "toself", "fillcolor": fill, "hoverinfo": "skip"}
    return line(*corners, colour, width, dash, **inside)


def _discs(marks: Sequence[_Mark]) -> Mark:
    """Numbered discs; several at one corner stand side by side."""
    at_corner = Counter((mark.x, mark.y) for mark in marks)
    x = []
    for mark in marks:
        at_corner[mark.x, mark.y] -= 1
        left = 0.52 * at_corner[mark.x, mark.y]
        x.append(mark.x - 0.1 - left if mark.x > LEFT else mark.x - 0.55 - left)
    return signs(
        x,
        [mark.y for mark in marks],
        [f"<b>{mark.number}</b>" for mark in marks],
        theme.KEY,
        22,
        12,
        name="marks",
        customdata=[mark.number for mark in marks],
        hovertext=[mark.title for mark in marks],
        hovertemplate=hover("difference %{customdata}: %{hovertext}"),
        rim={"width": 0},
        **always(1),
    )


def _note(x: float, y: float, text: str, align: str = "center") -> Part:
    font = {"size": 14, "color": theme.SEQUENTIAL[-1]}
    return note(x, y, text, xanchor=align, font=font)


class _Stack(NamedTuple):
    """A column of boxes of the transformer of 2017, read from below."""

    x: float
    boxes: Sequence[tuple[str, bool]]
    """What each is called, and whether a decoder-only model kept it."""
    sums: Sequence[float]
    """From which heights a line leads around what stands there, to the sum behind it."""
    top: float
    """Where the part ends that is repeated."""


_HALF, _HEIGHT = 1.6, 0.68
"""Half the width of a box, and its height."""
_ENCODER = _Stack(
    1.95,
    (
        ("Input embedding", False),
        ("+ positions", False),
        ("Multi-head<br>attention", False),
        ("Add & norm", False),
        ("Feedforward", False),
        ("Add & norm", False),
    ),
    (2.5, 4.5),
    6.42,
)
_DECODER = _Stack(
    6.55,
    (
        ("Output embedding", True),
        ("+ positions", True),
        ("Masked multi-head<br>attention", True),
        ("Add & norm", True),
        ("Attention to<br>the encoder", False),
        ("Add & norm", False),
        ("Feedforward", True),
        ("Add & norm", True),
        ("Linear", True),
        ("Softmax", True),
    ),
    (2.5, 4.5, 6.5),
    8.42,
)


def encoder_decoder() -> Figure:
    """Draw the transformer of 2017 and, thick, the path that a decoder-only model kept of it.

    After Vaswani et al. 2017, "Attention Is All You Need", figure 1; drawn anew.
    """
    stacks = (_ENCODER, _DECODER)
    lines = [*_paths(), *(path for stack in stacks for path in _around(stack))]
    lines += [_repeated(stack) for stack in stacks]
    boxes = [_stacked(stack.x, i, kept) for stack in stacks for i, (_, kept) in _rows(stack)]
    names = [
        _note(stack.x, float(i), f"<b>{name}</b>" if kept else name)
        for stack in stacks
        for i, (name, kept) in _rows(stack)
    ]
    layout = diagram((-0.1, 8.9), (-0.15, 11.3), names + _captions(), height=580, margin=_EDGES)
    return Figure(lines + boxes, layout)


def _rows(stack: _Stack) -> list[tuple[int, tuple[str, bool]]]:
    return list(enumerate(stack.boxes, 1))


def _stacked(x: float, y: int, kept: bool) -> Mark:
    sides = (x - _HALF, x + _HALF), (y - _HEIGHT / 2, y + _HEIGHT / 2)
    if kept:
        return _filled(*sides, theme.QUERY, 3.0, theme.SEQUENTIAL[1])
    return _filled(*sides, theme.RESIDUAL, 1.0, theme.SEQUENTIAL[0], "dot")


def _paths() -> list[Mark]:
    """The lines through both stacks, and the one that a decoder-only model kept."""
    left, right = _ENCODER.x, _DECODER.x
    bypass = right + _HALF + 0.4
    kept_x = [right, right, bypass, bypass, right, right]
    return [
        _path([left] * 2, [0.4, 6.6]),
        _path([left, left, 4.3, 4.3, right - _HALF], [6.5, 6.85, 6.85, 5.0, 5.0]),
        _path([right] * 2, [4.4, 6.5]),
        _path(kept_x, [0.4, 4.5, 4.5, 6.5, 6.5, 10.75], kept=True),
    ]


def _around(stack: _Stack) -> list[Mark]:
    edge = stack.x - _HALF
    x = [stack.x, edge - 0.22, edge - 0.22, edge]
    return [_path(x, [y, y, y + 1.5, y + 1.5]) for y in stack.sums]


def _repeated(stack: _Stack) -> Mark:
    """A frame around what is repeated in every block."""
    sides = (stack.x - _HALF - 0.3, stack.x + _HALF + 0.22)
    return _filled(sides, (2.42, stack.top), theme.RESIDUAL, 1.0, "rgba(0, 0, 0, 0)", "dash")


def _captions() -> list[Part]:
    return [
        _note(_ENCODER.x, 0.12, "the text to translate"),
        _note(_DECODER.x, 0.12, "the text so far"),
        _note(_DECODER.x, 11.0, "probabilities of the next token"),
        _note(_ENCODER.x, 7.4, "<b>Encoder</b>: 6 such blocks"),
        _note(4.2, 9.5, "<b>Decoder</b>:<br>6 such blocks", "right"),
    ]


def _path(x: list[float], y: list[float], kept: bool = False) -> Mark:
    colour, width, dash = (theme.QUERY, 6, "solid") if kept else (theme.RESIDUAL, 1.5, "dot")
    return line(x, y, colour, width, dash, hoverinfo="skip")


def parameter_bars(
    names: Sequence[str], counts: Int[np.ndarray, "part"], notes: Sequence[str]
) -> Figure:
    """Draw how many learned numbers each part of a model has.

    Args:
        names: The parts, the first on top.
        counts: Their numbers of parameters.
        notes: What else the hover says, per part.
    """
    total, most = max(1, int(np.sum(counts))), max(1, int(np.max(counts, initial=0)))
    parts = rows_of_bars(
        counts,
        theme.QUERY,
        text=[f"{count:,} ({percent(count / total)})" for count in counts],
        textposition="outside",
        cliponaxis=False,
        customdata=[f"{name}<br>{note}" for name, note in zip(names, notes, strict=True)],
        hovertemplate=hover("%{customdata}<br>%{x:,} parameters"),
    )
    layout = {
        "xaxis": fixed("parameters", range=[0, 1.35 * most], tickformat="~s"),
        "yaxis": fixed("part", autorange="reversed", **ticks(names)),
        **row_sizes(len(names)),
    }
    return Figure(parts, layout)
