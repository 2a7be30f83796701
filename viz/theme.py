"""How do all figures look? Their role colours, colour scales, lines and token labels.

Colours are the placeholders of Streamlit's Plotly theme. The browser puts the chart colours of
`.streamlit/config.toml` in their place, those for light or for dark, and swaps them when the
reader does: never write a colour of your own into a figure. Elsewhere they are all but black.
"""

import html
from collections.abc import Sequence
from typing import Literal, NamedTuple

QUERY, KEY, VALUE, FEEDFORWARD, HIGHLIGHT, ATTENTION, RESIDUAL = (
    f"#{number:06d}" for number in range(1, 8)
)
"""What plays which role, everywhere: blue, orange, green, pink, ochre, light blue, grey."""

SEQUENTIAL = tuple(f"#{number:06d}" for number in range(11, 21))
"""From nothing (nearly the page's background) to the most."""

DIVERGING = tuple(f"#{number:06d}" for number in range(21, 31))
"""From negative over zero to positive; give it a range that is the same on both sides."""

MASKED = "rgba(128, 128, 128, 0.22)"
"""Behind cells that hold no number, because nothing was computed there."""

StreamPart = Literal["embedding", "attention", "feedforward"]
"""What adds to the residual stream."""


class Role(NamedTuple):
    """What one colour stands for, everywhere."""

    name: str
    colours: tuple[str, ...]
    """One, or those of a scale from its one end to the other."""
    says: str


ROLES = (
    Role("query", (QUERY,), "the token that reads"),
    Role("key", (KEY,), "the token that is read"),
    Role("value", (VALUE,), "what is handed over"),
    Role("attention", (ATTENTION,), "the part of a block that reads other tokens"),
    Role("feedforward", (FEEDFORWARD,), "the part of a block that works on each token alone"),
    Role("residual stream", (RESIDUAL,), "what all parts add to"),
    Role("chosen", (HIGHLIGHT,), "what you have chosen, or follow"),
    Role("how much", SEQUENTIAL, "from nothing to the most"),
    Role("less, more", DIVERGING, "below zero, or B less than A; above zero, or B more than A"),
    Role("no number", (MASKED,), "nothing was computed here, or may be read"),
)
"""Every colour of a figure and its meaning; lines that only have to be told apart take `LOOKS`."""

CELL_PX = 26
LABEL_LENGTH = 14


class Look(NamedTuple):
    """What tells one line of a figure from the others: more than its colour."""

    colour: str
    dash: str
    symbol: str


LOOKS = (
    Look(QUERY, "solid", "circle"),
    Look(KEY, "dash", "square"),
    Look(VALUE, "dot", "diamond"),
    Look(FEEDFORWARD, "dashdot", "x"),
    Look(HIGHLIGHT, "longdash", "triangle-up"),
    Look(ATTENTION, "longdashdot", "cross"),
)
"""Of lines that stand for things without a role of their own, such as models or words."""


def scale(colours: Sequence[str] = SEQUENTIAL, power: float = 1.0) -> list[tuple[float, str]]:
    """Spread colours over 0 to 1.

    Args:
        colours: `SEQUENTIAL` or `DIVERGING`.
        power: 2 spends more of the colours on small values (their square root picks the colour),
            while values on hover and on the colour bar stay as they are.
    """
    last = len(colours) - 1
    return [((i / last) ** power, colour) for i, colour in enumerate(colours)]


def kinds(colours: Sequence[str]) -> list[tuple[float, str]]:
    """Give each of a few kinds, counted from 0, one plain colour.

    The colours are to be drawn from half below the first number to half above the last.
    """
    n = len(colours)
    return [(edge / n, colour) for i, colour in enumerate(colours) for edge in (i, i + 1)]


def shorten(token: str, length: int = LABEL_LENGTH) -> str:
    """Leave out the middle of a long token and escape it, so that Plotly shows it as it stands."""
    n_last = (length - 1) // 3
    n_first = length - 1 - n_last
    fits = len(token) <= length
    cut = token if fits else f"{token[:n_first]}…{token[len(token) - n_last :]}"
    return html.escape(cut, quote=False)


def position_labels(tokens: Sequence[str], start: int = 0) -> list[str]:
    """Label tokens by position, such as `7: ·little`: equal tokens stay apart.

    Use them as x or y with `type="category"`: the axis then drops labels where it is crowded and
    shows them again when zoomed in, and hovers can show `%{x}`.
    """
    return [f"{start + i}: {shorten(token)}" for i, token in enumerate(tokens)]
