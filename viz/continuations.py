"""How else could a text go on? A tree of what was sampled, and a beam search step by step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from viz import theme
from viz.axes import fixed, ticks
from viz.figure import Figure
from viz.layout import Part, legend, note
from viz.marks import Mark, dots, hatched, hover, line
from viz.numbers import Number, bits, counted, surprise, three_digits

MAX_DEPTH = 10
"""Tokens of each text that the tree shows."""
END = "■ end"

_LEAF_PX, _GREEDY_PX, _GAP_PX = 24, 46, 40
_BEAM_PX = 72
_STEP_PX = 76
_LABEL_GAP = 0.24
"""From a mark to its labels, in rows."""


@runtime_checkable
class Text(Protocol):
    """What was written after a prompt, token by token."""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """What was written."""
        ...

    @property
    def log_probs(self) -> tuple[float, ...]:
        """The natural log-probability of each token."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the last token ends the text."""
        ...

    @property
    def total(self) -> float:
        """The natural log-probability of the whole."""
        ...


class Branch(NamedTuple):
    """All texts that begin with the same tokens."""

    token_ids: tuple[int, ...]
    n_texts: int
    ends: bool
    """Whether the last token ends the text."""


def branches(texts: Iterable[Text], depth: int = MAX_DEPTH) -> list[Branch]:
    """Count the texts with each beginning, the shortest beginnings first, then the most frequent.

    Args:
        texts: The texts.
        depth: The longest beginning to count.
    """
    counts: dict[tuple[int, ...], int] = {}
    ends: set[tuple[int, ...]] = set()
    for text in texts:
        for length in range(1, min(depth, len(text.token_ids)) + 1):
            beginning = text.token_ids[:length]
            counts[beginning] = counts.get(beginning, 0) + 1
        if text.ended and len(text.token_ids) <= depth:
            ends.add(text.token_ids)
    return sorted(
        (Branch(ids, n_texts, ids in ends) for ids, n_texts in counts.items()),
        key=lambda branch: (len(branch.token_ids), -branch.n_texts, branch.token_ids),
    )


def text_tree(
    sampled: Sequence[Text],
    greedy: Text | None,
    token: Callable[[int], str],
    *,
    depth: int = MAX_DEPTH,
) -> Figure:
    """Draw sampled texts as a tree from left to right: the height of a cell counts its texts.

    Greedy decoding stands above it as a tree of its own, which has one branch. In the tree of
    samples, cells that begin as the greedy text does are hatched.

    Args:
        sampled: The sampled texts.
        greedy: The greedy text, written as many times as texts were sampled.
        token: Gives the display string of a token ID.
        depth: How many tokens to show.
    """
    n_texts = len(sampled)
    found = branches(sampled, depth)
    greedy_px = 0 if greedy is None else _GREEDY_PX
    height = _tree_px(found) + greedy_px + _GAP_PX * (2 if greedy_px else 1)
    path = () if greedy is None else greedy.token_ids
    top = 1.0 - _GAP_PX / height
    trees, notes = [], []
    if greedy is not None:
        same = [Branch(b.token_ids, n_texts, b.ends) for b in branches([greedy], depth)]
        place = (top - greedy_px / height, top)
        trees.append(_icicle(_Tree(same, n_texts, path), token, place))
        notes.append(_heading(f"Greedy, {n_texts} times: always the same text", top))
        top -= (greedy_px + _GAP_PX) / height
    trees.append(_icicle(_Tree(found, n_texts, path), token, (0.0, top)))
    notes.append(_heading(f"Sampling, {n_texts} times: {_different(sampled)}", top))
    margin = {"t": 0, "b": 4, "l": 0, "r": 0}
    return Figure(trees, {"height": height, "margin": margin, "annotations": notes})


def _tree_px(found: Sequence[Branch]) -> int:
    parents = {branch.token_ids[:-1] for branch in found}
    n_leaves = sum(branch.token_ids not in parents for branch in found)
    return min(760, max(200, n_leaves * _LEAF_PX))


def _different(texts: Sequence[Text]) -> str:
    n_distinct = len({text.token_ids for text in texts})
    return "one text" if n_distinct == 1 else f"{n_distinct} different texts"


def _heading(text: str, y: float) -> Part:
    place = {"xref": "paper", "yref": "paper", "yanchor": "bottom", "xanchor": "left"}
    return note(0, y, f"<b>{text}</b>", font={"size": 14}, **place)


class _Tree(NamedTuple):
    """Branches under one root."""

    branches: Sequence[Branch]
    n_texts: int
    greedy: tuple[int, ...]
    """Branches that begin as these token IDs do are hatched."""


def _icicle(tree: _Tree, token: Callable[[int], str], y: tuple[float, float]) -> Mark:
    """One tree, in the part of the figure from y[0] to y[1]."""
    found, n_texts, greedy = tree
    root = "prompt"
    names = [END if b.ends else theme.shorten(token(b.token_ids[-1])) for b in found]
    hatched = [True, *(b.token_ids == greedy[: len(b.token_ids)] for b in found)]
    return {
        "type": "icicle",
        "ids": [root, *(_key(b.token_ids) for b in found)],
        "labels": ["<i>prompt</i>", *names],
        "parents": ["", *(_key(b.token_ids[:-1]) or root for b in found)],
        "values": [n_texts, *(b.n_texts for b in found)],
        "branchvalues": "total",
        "tiling": {"orientation": "h", "pad": 1},
        "pathbar": {"visible": False},
        "texttemplate": "%{label} \u00d7%{value}",
        "textfont": {"size": 14},
        "customdata": [counted(n_texts, "text"), *_shares(tree, names)],
        "hovertemplate": hover("%{customdata}"),
        "marker": _tree_look(hatched),
        "domain": {"x": [0, 1], "y": list(y)},
    }


def _shares(tree: _Tree, names: Sequence[str]) -> list[str]:
    """What the hover says of each branch."""
    of_parent = {(): tree.n_texts, **{b.token_ids: b.n_texts for b in tree.branches}}
    return [
        f"{b.n_texts} of {tree.n_texts} texts begin so"
        f"<br>{b.n_texts} of {of_parent[b.token_ids[:-1]]} go on with <b>{name}</b> here"
        for b, name in zip(tree.branches, names, strict=True)
    ]


def _tree_look(flags: Sequence[bool]) -> Mark:
    pattern = {**hatched(flags), "solidity": 0.12, "fillmode": "overlay"}
    colours = [theme.SEQUENTIAL[4] if flag else theme.SEQUENTIAL[1] for flag in flags]
    return {"colors": colours, "pattern": pattern, "line": {"width": 1, "color": theme.RESIDUAL}}


def _key(token_ids: Sequence[int]) -> str:
    return ".".join(map(str, token_ids))


class BeamNode(NamedTuple):
    """One text that a beam search kept after a step, and where it is drawn."""

    token_ids: tuple[int, ...]
    total: float
    """Its natural log-probability: the sum over its tokens."""
    row: int
    """From 0, the most probable; texts that ended come after those that go on."""
    state: str
    """`leads`, `goes on`, `ended` or `dropped`: none of those kept later begins with it."""


def beam_nodes(
    steps: Sequence[Sequence[Text]], results: Sequence[Text], n_shown: int
) -> list[BeamNode]:
    """Lay out the texts that a beam search kept in its first steps, column by column.

    Args:
        steps: The texts kept after each step, the most probable first.
        results: Its results, the best first; those that ended early stay where they ended.
        n_shown: How many steps to show.
    """
    shown = steps[:n_shown]
    over = n_shown >= _n_steps(steps, results)
    ended = [text for text in results if text.ended and len(text.token_ids) <= n_shown]
    alive = list(shown[-1]) if len(shown) == n_shown else []
    last = [*alive, *ended]
    leader = results[0] if over and results else max(last, key=lambda t: t.total, default=None)
    nodes = []
    for length in range(1, n_shown + 1):
        column = list(shown[length - 1]) if length <= len(shown) else []
        column += [text for text in ended if len(text.token_ids) == length]
        for row, text in enumerate(column):
            nodes.append(BeamNode(text.token_ids, text.total, row, _state(text, leader, last)))
    return nodes


def _n_steps(steps: Sequence[Sequence[Text]], results: Sequence[Text]) -> int:
    return max([len(steps), *(len(text.token_ids) for text in results)])


def _state(text: Text, leader: Text | None, last: Sequence[Text]) -> str:
    """What became of a text until the last of those that are shown."""
    ids = text.token_ids
    if leader is not None and leader.token_ids[: len(ids)] == ids:
        return "leads"
    if text.ended:
        return "ended"
    goes_on = any(later.token_ids[: len(ids)] == ids for later in last)
    return "goes on" if goes_on else "dropped"


class _BeamLook(NamedTuple):
    """How texts of one state are drawn."""

    name: str
    colour: str
    symbol: str
    size: int
    dash: str
    width: int


_STATES = {
    "leads": _BeamLook("best text", theme.HIGHLIGHT, "star", 15, "solid", 4),
    "goes on": _BeamLook("kept", theme.QUERY, "circle", 11, "solid", 2),
    "ended": _BeamLook("ended", theme.VALUE, "square", 11, "solid", 2),
    "dropped": _BeamLook("dropped later", theme.RESIDUAL, "x-thin-open", 9, "dot", 1),
}
_GREEDY = _BeamLook("greedy", theme.KEY, "diamond", 11, "dash", 3)


class _Stop(NamedTuple):
    """A token of a text, where it is drawn."""

    x: Number
    y: Number
    token_ids: tuple[int, ...]
    """The text up to here."""
    total: float


def beam_trellis(
    steps: Sequence[Sequence[Text]],
    results: Sequence[Text],
    greedy: Text,
    token: Callable[[int], str],
    *,
    n_shown: int | None = None,
) -> Figure:
    """Draw a beam search step by step, with the greedy text beneath it.

    A column is a step, a row a rank among the texts kept. Under each token stands the surprise
    of the text up to it, in bits.

    Args:
        steps: The texts kept after each step, the most probable first.
        results: The results, the best first.
        greedy: What greedy decoding wrote.
        token: Gives the display string of a token ID.
        n_shown: How many steps to show; all by default.
    """
    n_steps = _n_steps(steps, results)
    n_shown = n_steps if n_shown is None else n_shown
    # Laid out in full, so that rows hold still from step to step.
    n_rows = 1 + max(node.row for node in beam_nodes(steps, results, n_steps))
    nodes = beam_nodes(steps, results, n_shown)
    stops = {n.token_ids: _Stop(len(n.token_ids), n.row, n.token_ids, n.total) for n in nodes}
    states = {node.token_ids: node.state for node in nodes}
    traces = []
    for state, look in reversed(_STATES.items()):
        these = [stop for ids, stop in stops.items() if states[ids] == state]
        if these:
            traces += [_steps_to(these, stops, look), *_stops(these, look, token)]
    floor = n_rows + 0.35
    traces += _greedy_path(greedy, n_shown, floor, token)
    return Figure(traces, _trellis_layout(n_rows, n_steps, floor))


def _steps_to(
    these: Sequence[_Stop], stops: Mapping[tuple[int, ...], _Stop], look: _BeamLook
) -> Mark:
    """Lines to some texts from what they went on from."""
    x: list[Number | None] = []
    y: list[Number | None] = []
    root = _Stop(0, 0, (), 0)
    for stop in these:
        ids = stop.token_ids[:-1]
        before = stops[ids] if ids else root
        x += [before.x, stop.x, None]
        y += [before.y, stop.y, None]
    return line(x, y, look.colour, look.width, look.dash, hoverinfo="skip", showlegend=False)


def _greedy_path(greedy: Text, n_shown: int, y: float, token: Callable[[int], str]) -> list[Mark]:
    n_tokens = min(n_shown, len(greedy.token_ids))
    path = [
        _Stop(i, y, greedy.token_ids[:i], float(sum(greedy.log_probs[:i])))
        for i in range(1, n_tokens + 1)
    ]
    look = _GREEDY
    x, quiet = list(range(n_tokens + 1)), {"hoverinfo": "skip", "showlegend": False}
    steps = line(x, [y] * len(x), look.colour, look.width, look.dash, **quiet)
    return [steps, *_stops(path, look, token)]


def _trellis_layout(n_rows: int, n_steps: int, floor: float) -> Part:
    ranks = ticks([*map(str, range(1, n_rows + 1)), "greedy"], [*range(n_rows), floor])
    plain = {"showgrid": False, "zeroline": False}
    written = "tokens written (0: the prompt)"
    return {
        "xaxis": fixed(written, range=[-0.4, n_steps + 0.6], dtick=1, **plain),
        "yaxis": fixed("rank among the beams", range=[floor + 0.75, -0.75], **ranks, **plain),
        "height": int((n_rows + 1.9) * _BEAM_PX) + 60,
        "margin": {"t": 44, "b": 50, "r": 10},
        "legend": legend(traceorder="reversed"),
        "hovermode": "closest",
    }


def trellis_width(n_steps: int) -> int:
    """Return the pixels that a trellis of so many steps needs to stay readable."""
    return (n_steps + 2) * _STEP_PX


def _stops(stops: Sequence[_Stop], look: _BeamLook, token: Callable[[int], str]) -> list[Mark]:
    """Marks with their token above them and the surprise of the text beneath, in bits."""
    tokens = [theme.shorten(token(stop.token_ids[-1]), 10) for stop in stops]
    sums = [three_digits(surprise(stop.total)) for stop in stops]
    x, y = [stop.x for stop in stops], [stop.y for stop in stops]
    rim = {"color": look.colour, "width": 2}
    hovers = [_sum_hover(stop, token) for stop in stops]
    told: Mark = {"customdata": hovers, "hovertemplate": "%{customdata}", "name": look.name}
    return [
        _texts(x, [at - _LABEL_GAP for at in y], tokens, 14),
        _texts(x, [at + _LABEL_GAP for at in y], sums, 14),
        dots(x, y, look.colour, look.size, look.symbol, rim, cliponaxis=False, **told),
    ]


def _sum_hover(stop: _Stop, token: Callable[[int], str]) -> str:
    text = "".join(map(token, stop.token_ids))
    return f"…{theme.shorten(text[-60:], 61)}<br>surprise {bits(surprise(stop.total))}"


def _texts(x: Sequence[Number], y: Sequence[Number], texts: list[str], size: int) -> Mark:
    quiet = {"hoverinfo": "skip", "showlegend": False, "cliponaxis": False}
    font = {"textfont": {"size": size}}
    return {"type": "scatter", "mode": "text", "x": x, "y": y, "text": texts, **font, **quiet}
