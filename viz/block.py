"""How does one transformer block change one token? Its parts, wired to the residual stream."""

from typing import Literal, NamedTuple

from viz import theme
from viz.figure import Figure
from viz.layout import Part, box, diagram, note
from viz.marks import Mark, dots, hover, line, signs
from viz.numbers import three_digits

BOX_WIDTH, BOX_HEIGHT = 2.9, 1.5
STREAM_Y = 0.0

Wiring = Literal["sequential", "post", "parallel", "unknown"]


class _Adder(NamedTuple):
    """A part that reads the stream and adds to it."""

    name: str
    x: float
    """Where it reads."""
    y: float
    end: float
    """Where it is added."""
    size: float
    """Of what it adds; None where the block has no such part."""
    colour: str

    @property
    def sides(self) -> tuple[float, float]:
        """The left and the right side of its box."""
        left = self.x + 0.35
        return left, left + BOX_WIDTH


def block_diagram(
    wiring: Wiring,
    *,
    resid_pre: float,
    attn_out: float | None,
    mlp_out: float | None,
    resid_post: float,
    together: float | None = None,
    norm: str = "",
    norm_placement: str = "pre",
    mixer: str = "Attention",
) -> Figure:
    """Draw how attention and feedforward meet the residual stream, with the sizes for one token.

    Args:
        wiring: `sequential` (one after the other), `post` (a norm on the stream after each sum) or
            `parallel` (both read the same input); `unknown` has one box for both parts.
        resid_pre: Size (norm) of the stream that enters.
        attn_out: Size of what attention adds; None in a block without it.
        mlp_out: Size of what the feedforward adds; None in a block without it.
        resid_post: Size of the stream that leaves.
        together: Size of what both add, for the one box of an unknown wiring.
        norm: The kind of normalisation, such as `RMSNorm`; empty to leave it out.
        norm_placement: `pre`, `post`, or `pre and post` where parts are normalised on both sides.
        mixer: What the first part is called where it is not attention.
    """
    place = {"pre": "before it", "pre and post": "around it"}.get(norm_placement)
    in_box = f"{norm} {place}" if norm and place and wiring != "post" else ""
    sizes = (together, None) if wiring == "unknown" else (attn_out, mlp_out)
    adders = _adders(wiring, mixer, *sizes)
    ends = [
        _note(0.0, -0.4, f"enters: {three_digits(resid_pre)}", "left"),
        _note(10.0, -0.4, f"leaves: {three_digits(resid_post)}", "right"),
    ]
    return _drawn(wiring, adders, ends, in_box, norm if wiring == "post" else "")


def _adders(wiring: Wiring, mixer: str, first: float | None, second: float | None) -> list[_Adder]:
    """Return the parts whose sizes are known."""
    parallel = wiring == "parallel"
    x, y = (1.0, -1.5) if parallel else (5.3, 1.5)
    parts = (
        [(f"{mixer} and more", 3.0, 1.5, 6.6, first, theme.RESIDUAL)]
        if wiring == "unknown"
        else [
            (mixer, 1.0, 1.5, 6.6 if parallel else 4.6, first, theme.ATTENTION),
            ("Feedforward", x, y, 6.6 if parallel else x + 3.6, second, theme.FEEDFORWARD),
        ]
    )
    return [
        _Adder(name, x, y, end, size, colour)
        for name, x, y, end, size, colour in parts
        if size is not None
    ]


def _drawn(
    wiring: Wiring, adders: list[_Adder], ends: list[Part], in_box: str, on_stream: str
) -> Figure:
    """Draw the parts; `in_box` and `on_stream` say where the norm is named, if at all."""
    traces = [line([0, 10], [STREAM_Y] * 2, theme.RESIDUAL, 7, hoverinfo="skip")]
    notes = list(ends)
    for part in adders:
        traces += [_branch(part), _plus(part)]
        notes.append(_title(part, in_box))
        if on_stream:
            traces.append(_norm_on_stream(part.end + 0.5))
            side = "center" if part.x < 5 else "right"
            notes.append(_note(part.end + 0.5, -0.95, on_stream, side))
    parallel = wiring == "parallel"
    bottom = -2.4 if parallel else -1.3 if on_stream else -0.8
    layout = diagram((-0.15, 10.15), (bottom, 2.4), notes, height=330 if parallel else 230)
    frames = {"shapes": [_frame(part) for part in adders]}
    return Figure(traces, {**layout, **frames, "margin": {"l": 2, "r": 2, "t": 2, "b": 2}})


def _branch(part: _Adder) -> Mark:
    """A line from the stream into a box, and from the box back to the stream."""
    left, right = part.sides
    x = [part.x, part.x, left, None, right, part.end, part.end]
    y = [STREAM_Y, part.y, part.y, None, part.y, part.y, STREAM_Y]
    return line(x, y, part.colour, hoverinfo="skip")


def _plus(part: _Adder) -> Mark:
    """Where a part is added to the stream."""
    template = hover(f"{part.name} adds a vector of size {three_digits(part.size)}")
    plus = ["<b>+</b>"]
    return signs([part.end], [STREAM_Y], plus, part.colour, 20, 16, hovertemplate=template)


def _norm_on_stream(x: float) -> Mark:
    return dots([x], [STREAM_Y], theme.RESIDUAL, 18, "square", hoverinfo="skip")


def _frame(part: _Adder) -> Part:
    half = BOX_HEIGHT / 2
    return box(part.sides, (part.y - half, part.y + half), part.colour)


def _title(part: _Adder, in_box: str) -> Part:
    detail = f"<br><span style='font-size:0.8em'>{in_box}</span>" if in_box else ""
    text = f"<b>{part.name}</b><br>adds <b>{three_digits(part.size)}</b>{detail}"
    return _note(sum(part.sides) / 2, part.y, text, "center")


def _note(x: float, y: float, text: str, align: str) -> Part:
    return note(x, y, text, xanchor=align, font={"size": 14})
