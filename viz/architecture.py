"""Blocks as they are built: one block from below to above, and the transformer of 2017."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Int

from viz import theme

UNIT_PX = 50
NORM_HEIGHT, GAP = 0.64, 0.45
"""Of a norm's box, and the room between two boxes, in units."""
STREAM_X, LEFT, RIGHT = 0.0, 1.0, 6.0
NORM_WIDTH = 2.0
_NO_FILL = "rgba(0, 0, 0, 0)"

Wiring = Literal["sequential", "post", "parallel", "unknown"]


class Piece(NamedTuple):
    """A box of the block: what stands in it, and the numbers of the differences it shows."""

    title: str
    detail: str = ""
    marks: tuple[int, ...] = ()


class BlockPieces(NamedTuple):
    """What a picture of a block shows; None where the block has no such part."""

    wiring: Wiring
    mixer: Piece | None
    feedforward: Piece | None
    norms: Mapping[str, Piece]
    """By place, in words such as `before attention` or `on the sum after feedforward`."""
    enters: str = ""
    """What is worth saying about the stream that enters."""
    enters_marks: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()
    """Differences in how the parts are joined."""


class _Box(NamedTuple):
    x0: float
    x1: float
    y0: float
    y1: float
    piece: Piece
    colour: str
    is_norm: bool = False


class _Layout:
    """Collects boxes, lines and plus signs while a block is built up from below."""

    def __init__(self) -> None:
        self.boxes: list[_Box] = []
        self.lines: list[tuple[list[float], list[float], str]] = []
        self.pluses: list[tuple[float, str, tuple[int, ...]]] = []
        self.y = 0.0

    def column(
        self, y: float, x0: float, x1: float, pieces: Sequence[tuple[Piece, bool]], colour: str
    ) -> float:
        """Stack boxes with lines between them; return the height that the last one reaches."""
        middle = (x0 + x1) / 2
        for piece, is_norm in pieces:
            height = NORM_HEIGHT if is_norm else _height(piece)
            self.lines.append(([middle, middle], [y, y + GAP], colour))
            y += GAP
            self.boxes.append(
                _Box(x0, x1, y, y + height, piece, theme.RESIDUAL if is_norm else colour, is_norm)
            )
            y += height
        return y


def _height(piece: Piece) -> float:
    lines = piece.title.count("<br>") + 1
    lines += piece.detail.count("<br>") + 1 if piece.detail else 0
    return 0.42 + 0.38 * lines


def block_structure(pieces: BlockPieces) -> go.Figure:
    """Draw one block, read from below: the stream at the left, the parts beside it.

    Numbered marks show where this block differs from another one; a click on a mark reports its
    number as `customdata`.

    Args:
        pieces: The parts and how they are joined. With an `unknown` wiring, the parts are drawn
            without lines to the stream.
    """
    layout = _Layout()
    layout.y = 0.9
    if pieces.wiring == "parallel":
        _parallel(layout, pieces)
    else:
        for name in ("attention", "feedforward"):
            piece = pieces.mixer if name == "attention" else pieces.feedforward
            if piece is not None:
                _sublayer(layout, pieces, name, piece)
    return _drawn(layout, pieces)


def _sublayer(layout: _Layout, pieces: BlockPieces, name: str, piece: Piece) -> None:
    colour = theme.ATTENTION if name == "attention" else theme.FEEDFORWARD
    joined = pieces.wiring != "unknown"
    norms = pieces.norms
    column = [(norms[p], True) for p in (f"before {name}",) if p in norms]
    column += [(piece, False)]
    column += [(norms[p], True) for p in (f"after {name}",) if p in norms]
    start, middle = layout.y, (LEFT + RIGHT) / 2
    if joined:
        layout.lines.append(([STREAM_X, middle], [start, start], colour))
    top = layout.column(start, LEFT, RIGHT, column, colour)
    if joined:
        end = top + GAP
        layout.lines.append(([middle, middle, STREAM_X], [top, end, end], colour))
        marks = pieces.marks if name == "attention" else ()
        layout.pluses.append((end, name, marks))
    layout.y = top + 2 * GAP
    if (norm := norms.get(f"on the sum after {name}")) is not None:
        y = layout.y
        half = NORM_WIDTH / 2
        layout.boxes.append(_Box(-half, half, y, y + NORM_HEIGHT, norm, theme.RESIDUAL, True))
        layout.y = y + NORM_HEIGHT + GAP
    layout.y += 0.3


def _parallel(layout: _Layout, pieces: BlockPieces) -> None:
    start, middle = layout.y, (LEFT + RIGHT) / 2
    halves = ((LEFT, middle - 0.15), (middle + 0.15, RIGHT))
    y = start
    if (shared := pieces.norms.get("before both")) is not None:
        layout.lines.append(([STREAM_X, middle], [y, y], theme.RESIDUAL))
        y = layout.column(y, LEFT, RIGHT, [(shared, True)], theme.RESIDUAL)
    tops = []
    for name, piece, (x0, x1), colour in (
        ("attention", pieces.mixer, halves[0], theme.ATTENTION),
        ("feedforward", pieces.feedforward, halves[1], theme.FEEDFORWARD),
    ):
        if piece is None:
            continue
        if shared is None:
            layout.lines.append(([STREAM_X, (x0 + x1) / 2], [y, y], colour))
        norms = pieces.norms
        column = [(norms[p], True) for p in (f"before {name}",) if p in norms]
        column += [(piece, False)]
        column += [(norms[p], True) for p in (f"after {name}",) if p in norms]
        tops.append(((x0 + x1) / 2, layout.column(y, x0, x1, column, colour), colour))
    end = max(top for _, top, _ in tops) + GAP
    for x, top, colour in tops:
        layout.lines.append(([x, x, STREAM_X], [top, end, end], colour))
    layout.pluses.append((end, "attention and feedforward", pieces.marks))
    layout.y = end + 2 * GAP


def _drawn(layout: _Layout, pieces: BlockPieces) -> go.Figure:
    top = layout.y
    traces = [
        go.Scatter(
            x=[STREAM_X, STREAM_X], y=[0.1, top], mode="lines", hoverinfo="skip",
            line={"color": theme.RESIDUAL, "width": 6},
        ),
        *(
            go.Scatter(
                x=x, y=y, mode="lines", hoverinfo="skip", line={"color": colour, "width": 2}
            )
            for x, y, colour in layout.lines
        ),
    ]  # fmt: skip
    for box in layout.boxes:
        changed = bool(box.piece.marks)
        colour = theme.HIGHLIGHT if changed else box.colour
        fill = theme.SEQUENTIAL[1 if box.is_norm else 0]
        traces.append(_box(box.x0, box.x1, box.y0, box.y1, colour, 3.0 if changed else 1.5, fill))
    traces.append(
        go.Scatter(
            x=[STREAM_X] * len(layout.pluses), y=[y for y, *_ in layout.pluses],
            mode="markers+text", text=["<b>+</b>"] * len(layout.pluses),
            textposition="middle center", textfont={"color": "white", "size": 15},
            marker={"size": 21, "color": theme.RESIDUAL},
            hovertext=[f"what {name} gives is added to the stream" for _, name, _ in layout.pluses],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )  # fmt: skip
    marks = [
        (box.x1, box.y1, number, box.piece.title)
        for box in layout.boxes
        for number in box.piece.marks
    ] + [(STREAM_X, y + 0.32, number, "how parts are joined")
         for y, _, numbers in layout.pluses for number in numbers]  # fmt: skip
    marks += [(STREAM_X, 0.3, number, "what enters") for number in pieces.enters_marks]
    if marks:
        traces.append(_marks(marks))
    notes = []
    for box in layout.boxes:
        text = box.piece.title if box.is_norm else f"<b>{box.piece.title}</b>"
        if box.piece.detail:
            text += f"<br><span style='font-size:0.85em'>{box.piece.detail}</span>"
        size = 11 if box.x1 - box.x0 < 3 else 13
        notes.append(_note((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, text, size=size))
    notes.append(_note(0.25, 0.3, pieces.enters or "a token's vector enters", "left", 12))
    notes.append(_note(0.25, top - 0.15, "to the next block", "left", 12))
    return go.Figure(
        traces,
        {
            "xaxis": {"visible": False, "range": [-1.25, RIGHT + 0.35], "fixedrange": True},
            "yaxis": {"visible": False, "range": [-0.1, top + 0.2], "fixedrange": True},
            "annotations": notes,
            "height": round((top + 0.3) * UNIT_PX) + 8,
            "showlegend": False,
            "margin": {"l": 2, "r": 2, "t": 4, "b": 4},
        },
    )


def _box(
    x0: float, x1: float, y0: float, y1: float, colour: str, width: float, fill: str,
    dash: str = "solid",
) -> go.Scatter:  # fmt: skip
    """A filled rectangle: a trace, since shapes are drawn either under all lines or over all."""
    return go.Scatter(
        x=[x0, x1, x1, x0, x0], y=[y0, y0, y1, y1, y0], mode="lines", fill="toself",
        fillcolor=fill, line={"color": colour, "width": width, "dash": dash}, hoverinfo="skip",
    )  # fmt: skip


def _marks(marks: Sequence[tuple[float, float, int, str]]) -> go.Scatter:
    """Numbered discs; several at one corner stand side by side."""
    at_corner = Counter((x, y) for x, y, *_ in marks)
    xs, ys = [], []
    for x, y, *_ in marks:
        at_corner[x, y] -= 1
        left = 0.52 * at_corner[x, y]
        xs.append(x - 0.1 - left if x > LEFT else x - 0.55 - left)
        ys.append(y)
    return go.Scatter(
        x=xs, y=ys, mode="markers+text", customdata=[number for *_, number, _ in marks],
        text=[f"<b>{number}</b>" for *_, number, _ in marks], textposition="middle center",
        textfont={"color": "white", "size": 12},
        marker={"size": 22, "color": theme.KEY, "line": {"width": 0}},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        hovertext=[title for *_, title in marks],
        hovertemplate="difference %{customdata}: %{hovertext}<extra></extra>", name="marks",
    )  # fmt: skip


def _note(x: float, y: float, text: str, align: str = "center", size: int = 13) -> dict:
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": align,
            "font": {"size": size, "color": theme.SEQUENTIAL[-1]}}  # fmt: skip


def encoder_decoder() -> go.Figure:
    """Draw the transformer of 2017 and, thick, the path that a decoder-only model kept of it.

    After Vaswani et al. 2017, "Attention Is All You Need", figure 1; drawn anew.
    """
    encoder = [("Input embedding", False), ("+ positions", False),
               ("Multi-head<br>attention", False), ("Add & norm", False), ("Feedforward", False),
               ("Add & norm", False)]  # fmt: skip
    decoder = [("Output embedding", True), ("+ positions", True),
               ("Masked multi-head<br>attention", True), ("Add & norm", True),
               ("Attention to<br>the encoder", False), ("Add & norm", False),
               ("Feedforward", True), ("Add & norm", True), ("Linear", True),
               ("Softmax", True)]  # fmt: skip
    encoder_x, decoder_x, half, height = 1.95, 6.55, 1.6, 0.68
    boxes, notes = [], []
    for x, names in ((encoder_x, encoder), (decoder_x, decoder)):
        for i, (name, kept) in enumerate(names, 1):
            boxes.append(
                _box(
                    x - half, x + half, i - height / 2, i + height / 2,
                    theme.QUERY if kept else theme.RESIDUAL, 3.0 if kept else 1.0,
                    theme.SEQUENTIAL[1 if kept else 0], "solid" if kept else "dot",
                )
            )  # fmt: skip
            notes.append(_note(x, float(i), f"<b>{name}</b>" if kept else name, size=11))
    bypass = decoder_x + half + 0.4
    lines = [
        _path([encoder_x] * 2, [0.4, 6.6]),
        _path(
            [encoder_x, encoder_x, 4.3, 4.3, decoder_x - half], [6.5, 6.85, 6.85, 5.0, 5.0]
        ),
        _path([decoder_x] * 2, [4.4, 6.5]),
        _path(
            [decoder_x, decoder_x, bypass, bypass, decoder_x, decoder_x],
            [0.4, 4.5, 4.5, 6.5, 6.5, 10.75], kept=True,
        ),
    ]  # fmt: skip
    for x, side, starts in ((encoder_x, -1, (2.5, 4.5)), (decoder_x, -1, (2.5, 4.5, 6.5))):
        edge = x + side * half
        lines += [
            _path([x, edge - 0.22, edge - 0.22, edge], [y, y, y + 1.5, y + 1.5]) for y in starts
        ]
    for x, y1 in ((encoder_x, 6.42), (decoder_x, 8.42)):
        left, right = x - half - 0.3, x + half + 0.22
        lines.append(_box(left, right, 2.42, y1, theme.RESIDUAL, 1.0, _NO_FILL, "dash"))
    notes += [
        _note(encoder_x, 0.12, "the text to translate", size=11),
        _note(decoder_x, 0.12, "the text so far", size=11),
        _note(decoder_x, 11.0, "probabilities of the next token", size=11),
        _note(encoder_x, 7.4, "<b>Encoder</b>: 6 such blocks", size=12),
        _note(4.2, 9.5, "<b>Decoder</b>:<br>6 such blocks", "right", 12),
    ]
    return go.Figure(
        [*lines, *boxes],
        {
            "xaxis": {"visible": False, "range": [-0.1, 8.9], "fixedrange": True},
            "yaxis": {"visible": False, "range": [-0.15, 11.3], "fixedrange": True},
            "annotations": notes,
            "height": 580,
            "showlegend": False,
            "margin": {"l": 2, "r": 2, "t": 4, "b": 4},
        },
    )


def _path(x: list[float], y: list[float], kept: bool = False) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, mode="lines", hoverinfo="skip",
        line={"color": theme.QUERY if kept else theme.RESIDUAL, "width": 6 if kept else 1.5,
              "dash": "solid" if kept else "dot"},
    )  # fmt: skip


def parameter_bars(
    names: Sequence[str], counts: Int[np.ndarray, "part"], notes: Sequence[str]
) -> go.Figure:
    """Draw how many learned numbers each part of a model has.

    Args:
        names: The parts, the first on top.
        counts: Their numbers of parameters.
        notes: What else the hover says, per part.
    """
    total = max(1, int(np.sum(counts)))
    figure = go.Figure(
        go.Bar(
            x=counts, y=list(range(len(names))), orientation="h", marker={"color": theme.QUERY},
            text=[f"{count:,} ({count / total:.1%})" for count in counts], textposition="auto",
            customdata=[f"{name}<br>{note}" for name, note in zip(names, notes, strict=True)],
            cliponaxis=False,
            hovertemplate="%{customdata}<br>%{x:,} parameters<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="parameters", rangemode="tozero", fixedrange=True, tickformat="~s")
    figure.update_yaxes(
        title="part", tickmode="array", tickvals=list(range(len(names))), ticktext=list(names),
        autorange="reversed", fixedrange=True,
    )  # fmt: skip
    return theme.fit_rows(figure, len(names))
