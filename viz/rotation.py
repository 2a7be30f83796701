"""How do rotary positions act? Pairs of dimensions that turn, and what each adds to a score."""

from collections.abc import Sequence
from itertools import cycle
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from plotly.subplots import make_subplots

from viz import theme
from viz.axes import across, down, fixed, hidden, ticks
from viz.figure import Figure
from viz.layout import Part, box, buttons, legend, note, slider
from viz.marks import Mark, bars, cells, hatched, hover, line, marked_line
from viz.numbers import counted, signed, three_digits

COLUMNS = 4
PAIRS = "pair of dimensions, fastest first"
CIRCLE_POINTS = 49
"""That a circle is drawn through."""
_CELL = 2.9
"""From one circle to the next, in radiuses."""
_ROW_PX, _CURVE_PX, _BELOW_PX = 144, 190, 150
_GAP_PX = 34


class TurnedPair(NamedTuple):
    """One pair of dimensions of a query and a key, at every step of the slider."""

    label: str
    """What is written above its circle."""
    query: Float[np.ndarray, "step 2"]
    key: Float[np.ndarray, "step 2"]


class _Scores(NamedTuple):
    """The score of the whole head at every step."""

    values: Float[np.ndarray, "step"]
    steps: Sequence[int]
    moved: str
    """What the steps count."""
    measure: str
    start: int

    @property
    def reach(self) -> tuple[float, float]:
        """Ends of the axis, with room above the curve for a line of text."""
        low, high = float(self.values.min()), float(self.values.max())
        room = 0.25 * max(high - low, 0.1 * max(abs(low), abs(high)), 1e-3)
        return low - room, high + 2.5 * room


def rotation_slider(
    pairs: Sequence[TurnedPair],
    scores: Float[np.ndarray, "step"],
    steps: Sequence[int],
    *,
    moved: str,
    start: int = 0,
    measure: str = "score",
) -> go.Figure:
    """Draw pairs of a query and a key as arrows that turn, and the score they make.

    One slider moves everything, in the browser. An arrow's length follows the square root of the
    pair's length, so that short ones stay visible; the longest query and the longest key reach the
    rim of their circle.

    Args:
        pairs: What to draw as circles.
        scores: The score of the whole head at every step.
        steps: What the slider counts.
        moved: What that is, such as `position of the query`.
        start: The index of the step to begin with.
        measure: What query and key make together.
    """
    curve = _Scores(scores, steps, moved, measure, start)
    centres = [(_CELL * (i % COLUMNS), -_CELL * (i // COLUMNS)) for i in range(len(pairs))]
    circles_px = -(-len(pairs) // COLUMNS) * _ROW_PX
    plots_px = circles_px + _CURVE_PX
    figure = make_subplots(
        rows=2, row_heights=[circles_px, _CURVE_PX], vertical_spacing=_GAP_PX / plots_px
    )
    moving = [_arrows(pairs, centres, "query"), _arrows(pairs, centres, "key"), _marker(curve)]
    looks = zip(moving, _looks(len(pairs)), strict=True)
    now = [_add_look(values[start], look) for values, look in looks]
    traces = [_rims(centres), _score_line(curve), *now]
    figure.add_traces(traces, rows=[1, 2, 1, 1, 2], cols=[1] * 5)
    # A frame holds only what moves: everything else costs time to check and to send.
    figure.frames = [
        {"name": str(step), "data": list(values), "traces": [2, 3, 4]}
        for step, *values in zip(steps, *moving, strict=True)
    ]
    figure.update_layout(_axes(len(pairs), curve), annotations=_titles(pairs, centres))
    return figure.update_layout(_slider_layout(curve, plots_px + _BELOW_PX))


def _rims(centres: Sequence[tuple[float, float]]) -> Mark:
    """All circles as one broken line."""
    angles = np.append(np.linspace(0, 2 * np.pi, CIRCLE_POINTS), np.nan)
    unit = np.stack([np.cos(angles), np.sin(angles)], -1)
    x, y = (np.array(centres).reshape(-1, 1, 2) + unit).reshape(-1, 2).round(3).T
    return line(x, y, theme.MASKED, 1, hoverinfo="skip", showlegend=False)


def _score_line(curve: _Scores) -> Mark:
    template = hover(f"{curve.moved} %{{x}}<br>{curve.measure} %{{y:.3r}}")
    told = {"hovertemplate": template, "showlegend": False}
    return line(list(curve.steps), curve.values, theme.RESIDUAL, **told)


def _arrows(
    pairs: Sequence[TurnedPair],
    centres: Sequence[tuple[float, float]],
    side: Literal["query", "key"],
) -> list[Mark]:
    """All arrows of one side at every step: from each centre to a tip, then a gap."""
    turned = [pair.query if side == "query" else pair.key for pair in pairs]
    tips = np.stack(turned, 1)
    lengths = np.linalg.norm(tips, axis=-1, keepdims=True)
    longest = float(lengths.max()) or 1.0
    tips = tips / np.sqrt(np.where(lengths > 0, lengths, 1) * longest)
    centre = np.broadcast_to(np.array(centres, dtype=float), tips.shape)
    gap = np.full(tips.shape, np.nan)
    path = np.stack([centre, centre + tips, gap], 2).reshape(len(tips), -1, 2).round(3)
    points = path.astype(object)
    points[np.isnan(path)] = None
    return [{"x": step[:, 0].tolist(), "y": step[:, 1].tolist()} for step in points]


def _marker(curve: _Scores) -> list[Mark]:
    """Where the score is at every step, and what is written above the curve."""
    first, top = curve.values[curve.start], curve.reach[1]
    texts = [
        f"<b>{three_digits(score)}</b> (changed by {signed(float(score - first))})"
        for score in curve.values
    ]
    return [
        {"x": [step, curve.steps[0]], "y": [float(score), top], "text": ["", text]}
        for step, score, text in zip(curve.steps, curve.values, texts, strict=True)
    ]


def _looks(n_pairs: int) -> list[Mark]:
    """How the arrows of queries and keys look, and the mark on the curve."""
    tips = [0, 8, 0] * n_pairs
    marker = {"color": theme.HIGHLIGHT, "size": [12, 0]}
    quiet = {"textposition": "bottom right", "showlegend": False}
    return [
        {
            "name": "query",
            "line": {"color": theme.QUERY, "width": 3},
            "marker": {"color": theme.QUERY, "size": tips},
        },
        {
            "name": "key",
            "line": {"color": theme.KEY, "width": 3, "dash": "dot"},
            "marker": {"color": theme.KEY, "symbol": "square", "size": tips},
        },
        {"mode": "markers+text", "marker": marker, **quiet},
    ]


def _add_look(values: Mark, look: Mark) -> Mark:
    shared = {"type": "scatter", "mode": "lines+markers", "hoverinfo": "skip"}
    return {**shared, **values, **look}


def _axes(n_pairs: int, curve: _Scores) -> Part:
    """Places for the circles above, and the axes of the curve beneath."""
    right = _CELL * (min(COLUMNS, n_pairs) - 1) + 1.3
    bottom = -_CELL * (-(-n_pairs // COLUMNS) - 1) - 1.15
    square = {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    return {
        "xaxis": hidden(-1.3, right),
        "yaxis": hidden(bottom, 1.75, **square),
        "xaxis2": fixed(curve.moved, tickformat="d"),
        "yaxis2": fixed(curve.measure, range=curve.reach),
    }


def _titles(pairs: Sequence[TurnedPair], centres: Sequence[tuple[float, float]]) -> list[Part]:
    look = {"yanchor": "bottom", "font": {"size": 14}, "xref": "x", "yref": "y"}
    return [
        note(x, y + 1.05, theme.shorten(pair.label, 30), **look)
        for pair, (x, y) in zip(pairs, centres, strict=True)
    ]


def _slider_layout(curve: _Scores, height: int) -> Part:
    names = [str(step) for step in curve.steps]
    place = {"x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom"}
    return {
        "height": height,
        "margin": {"t": 44, "b": _BELOW_PX - 40, "r": 10},
        "dragmode": False,
        "legend": legend(),
        "updatemenus": buttons(False, 120, **place),
        "sliders": slider(names, False, f"{curve.moved}: ", active=curve.start, pad={"t": 56}),
    }


def pair_terms(
    terms: Float[np.ndarray, "pair"],
    wavelengths: Float[np.ndarray, "pair"],
    rest: float | None = None,
) -> Figure:
    """Draw what each pair of dimensions adds to one score, the fastest first.

    Args:
        terms: One number per pair.
        wavelengths: Positions per turn, for the hover.
        rest: What the dimensions without rotation add together; None if there are none.
    """
    labels = [str(j) for j in range(len(terms))]
    hovers = [f"pair {j}, one turn in {turn_length(w)}" for j, w in enumerate(wavelengths)]
    values = terms.tolist()
    if rest is not None:
        labels.append("rest")
        hovers.append("dimensions that are not turned")
        values.append(float(rest))
    colours = [theme.ATTENTION if value >= 0 else theme.HIGHLIGHT for value in values]
    pattern = hatched((value < 0 for value in values), 5)
    told = {"customdata": hovers, "hovertemplate": hover("%{customdata}<br>adds %{y:+.3r}")}
    step = max(1, len(labels) // 24)
    shown = [i for i, label in enumerate(labels) if i % step == 0 or label == "rest"]
    layout = {
        "xaxis": fixed(PAIRS, **ticks([labels[i] for i in shown], shown)),
        "yaxis": fixed("adds to the score", zeroline=True),
        "height": 300,
        "margin": {"t": 10, "b": 50},
        "showlegend": False,
        "bargap": 0.2,
        "dragmode": False,
    }
    return Figure(bars(list(range(len(values))), values, colours, pattern, **told), layout)


def pair_use(
    use: Float[np.ndarray, "head pair"], wavelengths: Float[np.ndarray, "pair"], head: int | None
) -> Figure:
    """Draw how much of each head's scores every pair can make, one row per head.

    Args:
        use: Shares; each row sums to 1 (to less where other dimensions take part).
        wavelengths: Positions per turn, for the hover.
        head: The head to frame.
    """
    n_heads, n_pairs = use.shape
    whole = (-0.5, n_pairs - 0.5)
    frames = [] if head is None else [box(whole, (head - 0.5, head + 0.5), theme.HIGHLIGHT)]
    template = "head %{y}, pair %{x}<br>one turn in %{customdata}<br>share %{z:.3p}"
    shares = cells(
        use.astype(np.float32),
        (0, float(use.max()) or 1.0),
        theme.scale(),
        customdata=[[turn_length(w) for w in wavelengths]] * n_heads,
        hovertemplate=hover(template),
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "share"}, "thickness": 8, "tickformat": ".0%"},
    )
    plain = {"tickformat": "d", "showgrid": False}
    layout = {
        "xaxis": fixed(PAIRS, range=across(n_pairs), **plain),
        "yaxis": fixed("head", range=down(n_heads), dtick=max(1, n_heads // 16), **plain),
        "shapes": frames,
        "height": min(max(22 * n_heads, 110), 420) + 70,
        "margin": {"t": 12, "b": 56},
    }
    return Figure(shares, layout)


def wavelength_lines(
    wavelengths: Float[np.ndarray, "pair"],
    others: dict[str, Float[np.ndarray, "pair"]],
    marks: dict[str, int],
) -> Figure:
    """Draw after how many positions each pair has turned once around, on a logarithmic axis.

    Args:
        wavelengths: Those of the model.
        others: More lines by name, such as another base's.
        marks: Horizontal lines by name, such as the length of the prompt.
    """
    looks = cycle(look._replace(colour=theme.KEY) for look in theme.LOOKS[:4])
    own = _wavelengths("this model", wavelengths, next(looks)._replace(colour=theme.QUERY))
    more = [_wavelengths(name, values, next(looks)) for name, values in others.items()]
    n_pairs = max(map(len, (wavelengths, *others.values())))
    levels = [_level(f"{name}: {counted(n, 'token')}", n, n_pairs) for name, n in marks.items()]
    lengths = np.array([*marks.values()], dtype=float)
    powers = np.log10(np.concatenate([wavelengths, *others.values(), lengths]))
    powers = powers[np.isfinite(powers)]
    reach = [np.floor(powers.min()), np.ceil(powers.max())]
    layout = {
        "xaxis": fixed(PAIRS, tickformat="d", range=across(n_pairs)),
        "yaxis": fixed("tokens per turn", type="log", dtick=1, tickformat=",d", range=reach),
        "height": 360,
        "margin": {"t": 36, "b": 50},
        "legend": legend(),
        "dragmode": False,
    }
    return Figure([own, *more, *levels], layout)


def _wavelengths(name: str, values: Float[np.ndarray, "pair"], look: theme.Look) -> Mark:
    """The wavelengths of those pairs that turn at all."""
    finite = np.isfinite(values)
    x, y = np.nonzero(finite)[0].tolist(), values[finite]
    template = hover(f"{name}<br>pair %{{x}}: one turn in %{{y:,.3r}} tokens")
    size = 8 if len(values) <= 40 else 5
    return marked_line(x, y, look, size, None, name=name, hovertemplate=template)


def _level(text: str, length: int, n_pairs: int) -> Mark:
    """A length to compare with, and what it is."""
    written = {"mode": "lines+text", "text": ["", text], "textposition": "top left"}
    quiet = {"hoverinfo": "skip", "showlegend": False}
    ends = [-0.4, n_pairs - 0.6]
    return line(ends, [length, length], theme.RESIDUAL, 1, "dot", **written, **quiet)


def turn_length(wavelength: float) -> str:
    """Write how many tokens one turn takes."""
    if not np.isfinite(wavelength):
        return "∞ tokens (it never turns)"
    return f"{wavelength:,.1f} tokens" if wavelength < 100 else f"{wavelength:,.0f} tokens"


def chosen_pairs(n_pairs: int, most: int = 12) -> Int[np.ndarray, "shown"]:
    """Return which pairs to draw as circles: all, or some spread evenly from fast to slow."""
    if n_pairs <= most:
        return np.arange(n_pairs)
    return np.unique(np.linspace(0, n_pairs - 1, most).round().astype(int))
