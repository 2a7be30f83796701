"""Where do the parts of a block stand? Boxes, lines and sums, built up from below."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from viz import theme

NORM_HEIGHT, GAP = 0.64, 0.45
"""Of a norm's box, and the room between two boxes, in units."""
STREAM_X, LEFT, RIGHT = 0.0, 1.0, 6.0
MIDDLE = (LEFT + RIGHT) / 2
HALVES = {"attention": (LEFT, MIDDLE - 0.15), "feedforward": (MIDDLE + 0.15, RIGHT)}
"""Where the two parts stand that read the same input."""
COLOURS = {"attention": theme.ATTENTION, "feedforward": theme.FEEDFORWARD}
NORM_WIDTH = 2.0

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


class Box(NamedTuple):
    """A part or a norm, and the place it takes: from where to where across, and upwards."""

    x: tuple[float, float]
    y: tuple[float, float]
    piece: Piece
    colour: str
    is_norm: bool = False


class Plus(NamedTuple):
    """Where something is added to the stream."""

    y: float
    name: str
    marks: tuple[int, ...]


class BlockLayout:
    """Collects boxes, lines and plus signs while a block is built up from below."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.lines: list[tuple[list[float], list[float], str]] = []
        self.pluses: list[Plus] = []
        self.y = 0.9

    def line(self, x: list[float], y: list[float], colour: str) -> None:
        """Add a line through points."""
        self.lines.append((x, y, colour))

    def box(self, x: tuple[float, float], y: float, box: tuple[Piece, bool], colour: str) -> float:
        """Put a box at some height; return the height that it reaches."""
        piece, is_norm = box
        top = y + (NORM_HEIGHT if is_norm else _height(piece))
        self.boxes.append(Box(x, (y, top), piece, theme.RESIDUAL if is_norm else colour, is_norm))
        return top

    def column(
        self, y: float, x: tuple[float, float], pieces: Sequence[tuple[Piece, bool]], colour: str
    ) -> float:
        """Stack boxes with lines between them; return the height that the last one reaches."""
        for piece in pieces:
            self.line([sum(x) / 2] * 2, [y, y + GAP], colour)
            y = self.box(x, y + GAP, piece, colour)
        return y


def _height(piece: Piece) -> float:
    lines = piece.title.count("<br>") + 1
    lines += piece.detail.count("<br>") + 1 if piece.detail else 0
    return 0.42 + 0.38 * lines


def laid_out(pieces: BlockPieces) -> BlockLayout:
    """Place the parts of a block; those that it lacks are left out."""
    layout = BlockLayout()
    parts = {"attention": pieces.mixer, "feedforward": pieces.feedforward}
    present = {name: piece for name, piece in parts.items() if piece is not None}
    if pieces.wiring == "parallel":
        _parallel(layout, pieces, present)
    else:
        for name, piece in present.items():
            _sublayer(layout, pieces, name, piece)
    return layout


def _with_norms(pieces: BlockPieces, name: str, piece: Piece) -> list[tuple[Piece, bool]]:
    """A part between the norms before and after it, each with whether it is a norm."""
    before, after = (pieces.norms.get(f"{place} {name}") for place in ("before", "after"))
    stack = ((before, True), (piece, False), (after, True))
    return [(found, is_norm) for found, is_norm in stack if found is not None]


def _sublayer(layout: BlockLayout, pieces: BlockPieces, name: str, piece: Piece) -> None:
    """Add a part that reads what the part before it left."""
    colour, start = COLOURS[name], layout.y
    joined = pieces.wiring != "unknown"
    if joined:
        layout.line([STREAM_X, MIDDLE], [start, start], colour)
    top = layout.column(start, (LEFT, RIGHT), _with_norms(pieces, name, piece), colour)
    if joined:
        end = top + GAP
        layout.line([MIDDLE, MIDDLE, STREAM_X], [top, end, end], colour)
        layout.pluses.append(Plus(end, name, pieces.marks if name == "attention" else ()))
    layout.y = top + 2 * GAP
    if (norm := pieces.norms.get(f"on the sum after {name}")) is not None:
        on_stream = (-NORM_WIDTH / 2, NORM_WIDTH / 2)
        layout.y = layout.box(on_stream, layout.y, (norm, True), theme.RESIDUAL) + GAP
    layout.y += 0.3


def _parallel(layout: BlockLayout, pieces: BlockPieces, present: Mapping[str, Piece]) -> None:
    """Add two parts that read the same input, side by side."""
    start = layout.y
    if (shared := pieces.norms.get("before both")) is not None:
        layout.line([STREAM_X, MIDDLE], [start, start], theme.RESIDUAL)
        start = layout.column(start, (LEFT, RIGHT), [(shared, True)], theme.RESIDUAL)
    tops = {}
    for name, piece in present.items():
        colour, side = COLOURS[name], HALVES[name]
        if shared is None:
            layout.line([STREAM_X, sum(side) / 2], [start, start], colour)
        tops[name] = layout.column(start, side, _with_norms(pieces, name, piece), colour)
    end = max(tops.values()) + GAP
    for name, top in tops.items():
        x = sum(HALVES[name]) / 2
        layout.line([x, x, STREAM_X], [top, end, end], COLOURS[name])
    layout.pluses.append(Plus(end, "attention and feedforward", pieces.marks))
    layout.y = end + 2 * GAP
