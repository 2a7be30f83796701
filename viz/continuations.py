"""Many continuations of one text: a tree of what was written, and the steps of a beam search."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import plotly.graph_objects as go

from viz import theme

MAX_DEPTH = 10
"""Tokens of each text that the tree shows."""
END = "■ end"

_LEAF_PX = 24
_BEAM_PX = 72
_STEP_PX = 76
_LABEL_GAP = 0.24
"""From a mark to its labels, in rows."""


@runtime_checkable
class Text(Protocol):
    """What was written after a prompt, token by token."""

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    ended: bool
    total: float


class Branch(NamedTuple):
    """All texts that begin with the same tokens."""

    token_ids: tuple[int, ...]
    count: int
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
        (Branch(ids, count, ids in ends) for ids, count in counts.items()),
        key=lambda branch: (len(branch.token_ids), -branch.count, branch.token_ids),
    )


def text_tree(
    sampled: Sequence[Text],
    greedy: Text | None,
    token: Callable[[int], str],
    *,
    depth: int = MAX_DEPTH,
) -> go.Figure:
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
    parents = {branch.token_ids[:-1] for branch in found}
    n_leaves = sum(branch.token_ids not in parents for branch in found)
    samples_px = min(760, max(200, n_leaves * _LEAF_PX))
    greedy_px = 46 if greedy is not None else 0
    gap = 40
    height = samples_px + greedy_px + gap * (2 if greedy_px else 1)
    path = greedy.token_ids if greedy is not None else ()
    figure = go.Figure()
    notes = []
    y = 1.0 - gap / height
    if greedy is not None:
        notes.append(_heading(f"Greedy, {n_texts} times: always the same text", y))
        same = [Branch(b.token_ids, n_texts, b.ends) for b in branches([greedy], depth)]
        figure.add_trace(_icicle(same, n_texts, path, token, (y - greedy_px / height, y)))
        y -= (greedy_px + gap) / height
    n_distinct = len({text.token_ids for text in sampled})
    texts = "one text" if n_distinct == 1 else f"{n_distinct} different texts"
    notes.append(_heading(f"Sampling, {n_texts} times: {texts}", y))
    figure.add_trace(_icicle(found, n_texts, path, token, (0.0, y)))
    return figure.update_layout(
        height=height, margin={"t": 0, "b": 4, "l": 0, "r": 0}, annotations=notes
    )


def _heading(text: str, y: float) -> dict:
    return {
        "text": f"<b>{text}</b>", "xref": "paper", "yref": "paper", "x": 0, "y": y,
        "yanchor": "bottom", "xanchor": "left", "showarrow": False, "font": {"size": 14},
    }  # fmt: skip


def _icicle(
    found: Sequence[Branch],
    n_texts: int,
    greedy: tuple[int, ...],
    token: Callable[[int], str],
    y: tuple[float, float],
) -> go.Icicle:
    """One tree, in the part of the figure from y[0] to y[1]."""
    root = "prompt"
    names = [END if b.ends else theme.shorten(token(b.token_ids[-1])) for b in found]
    is_greedy = [True, *(b.token_ids == greedy[: len(b.token_ids)] for b in found)]
    of_parent = {(): n_texts, **{b.token_ids: b.count for b in found}}
    hovers = [
        f"{b.count} of {n_texts} texts begin so"
        f"<br>{b.count} of {of_parent[b.token_ids[:-1]]} go on with <b>{name}</b> here"
        for b, name in zip(found, names, strict=True)
    ]
    return go.Icicle(
        ids=[root, *(_key(b.token_ids) for b in found)],
        labels=["<i>prompt</i>", *names],
        parents=["", *(_key(b.token_ids[:-1]) or root for b in found)],
        values=[n_texts, *(b.count for b in found)],
        branchvalues="total",
        tiling={"orientation": "h", "pad": 1},
        pathbar={"visible": False},
        texttemplate="%{label} \u00d7%{value}",
        textfont={"size": 14},
        customdata=[f"{n_texts} texts", *hovers],
        hovertemplate="%{customdata}<extra></extra>",
        marker={
            "colors": [theme.SEQUENTIAL[4] if g else theme.SEQUENTIAL[1] for g in is_greedy],
            "pattern": {"shape": ["/" if g else "" for g in is_greedy], "solidity": 0.12,
                        "fillmode": "overlay"},
            "line": {"width": 1, "color": theme.RESIDUAL},
        },
        domain={"x": [0, 1], "y": list(y)},
    )  # fmt: skip


def _key(token_ids: Sequence[int]) -> str:
    return ".".join(map(str, token_ids))


class BeamNode(NamedTuple):
    """One text that a beam search kept after a step, and where it is drawn."""

    token_ids: tuple[int, ...]
    total: float
    """Its log-probability: the sum over its tokens."""
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
    over = n_shown >= max([len(steps), *(len(text.token_ids) for text in results)])
    ended = [text for text in results if text.ended and len(text.token_ids) <= n_shown]
    alive = list(shown[-1]) if len(shown) == n_shown else []
    last = [*alive, *ended]
    leader = results[0] if over and results else max(last, key=lambda t: t.total, default=None)
    nodes = []
    for length in range(1, n_shown + 1):
        column = list(shown[length - 1]) if length <= len(shown) else []
        stopped = [text for text in ended if len(text.token_ids) == length]
        for row, text in enumerate([*column, *stopped]):
            ids = text.token_ids
            if leader is not None and leader.token_ids[:length] == ids:
                state = "leads"
            elif text.ended:
                state = "ended"
            elif any(later.token_ids[:length] == ids for later in last):
                state = "goes on"
            else:
                state = "dropped"
            nodes.append(BeamNode(ids, text.total, row, state))
    return nodes


_STATES = {
    "leads": ("best text", theme.HIGHLIGHT, "star", 15, "solid", 4),
    "goes on": ("kept", theme.QUERY, "circle", 11, "solid", 2),
    "ended": ("ended", theme.VALUE, "square", 11, "solid", 2),
    "dropped": ("dropped later", theme.RESIDUAL, "x-thin-open", 9, "dot", 1),
}


def beam_trellis(
    steps: Sequence[Sequence[Text]],
    results: Sequence[Text],
    greedy: Text,
    token: Callable[[int], str],
    *,
    n_shown: int | None = None,
) -> go.Figure:
    """Draw a beam search step by step, with the greedy text beneath it.

    A column is a step, a row a rank among the texts kept. Under each token stands the sum of the
    log-probabilities up to it.

    Args:
        steps: The texts kept after each step, the most probable first.
        results: The results, the best first.
        greedy: What greedy decoding wrote.
        token: Gives the display string of a token ID.
        n_shown: How many steps to show; all by default.
    """
    n_steps = max([len(steps), *(len(text.token_ids) for text in results)])
    n_shown = n_steps if n_shown is None else n_shown
    # Laid out in full, so that rows hold still from step to step.
    n_rows = 1 + max(node.row for node in beam_nodes(steps, results, n_steps))
    nodes = beam_nodes(steps, results, n_shown)
    place = {(): (0.0, 0.0)}
    place |= {node.token_ids: (float(len(node.token_ids)), float(node.row)) for node in nodes}
    traces = []
    for state, (name, colour, symbol, size, dash, width) in reversed(_STATES.items()):
        these = [node for node in nodes if node.state == state]
        if not these:
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        for node in these:
            (x0, y0), (x1, y1) = place[node.token_ids[:-1]], place[node.token_ids]
            x += [x0, x1, None]
            y += [y0, y1, None]
        traces.append(
            go.Scatter(
                x=x, y=y, mode="lines", line={"color": colour, "width": width, "dash": dash},
                hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
        marks = [(*place[node.token_ids], node.token_ids, node.total) for node in these]
        traces += _marks(marks, name, colour, symbol, size, token)
    floor = n_rows + 0.35
    path = [
        (float(i), floor, greedy.token_ids[:i], float(sum(greedy.log_probs[:i])))
        for i in range(1, min(n_shown, len(greedy.token_ids)) + 1)
    ]
    traces.append(
        go.Scatter(
            x=[0, *(mark[0] for mark in path)], y=[floor] * (len(path) + 1), mode="lines",
            line={"color": theme.KEY, "width": 3, "dash": "dash"}, hoverinfo="skip",
            showlegend=False,
        )
    )  # fmt: skip
    traces += _marks(path, "greedy", theme.KEY, "diamond", 11, token)
    return go.Figure(
        traces,
        {
            "height": int((n_rows + 1.9) * _BEAM_PX) + 60, "margin": {"t": 44, "b": 50, "r": 10},
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom",
                       "traceorder": "reversed"},
            "hovermode": "closest",
            "xaxis": {
                "title": {"text": "tokens written (0: the prompt)"}, "fixedrange": True,
                "range": [-0.4, n_steps + 0.6], "dtick": 1, "showgrid": False, "zeroline": False,
            },
            "yaxis": {
                "title": {"text": "rank among the beams"}, "fixedrange": True, "showgrid": False,
                "range": [floor + 0.75, -0.75], "tickmode": "array", "zeroline": False,
                "tickvals": [*range(n_rows), floor],
                "ticktext": [*map(str, range(1, n_rows + 1)), "greedy"],
            },
        },
    )  # fmt: skip


def trellis_width(n_steps: int) -> int:
    """Return the pixels that a trellis of so many steps needs to stay readable."""
    return (n_steps + 2) * _STEP_PX


def _marks(
    marks: Sequence[tuple[float, float, tuple[int, ...], float]],
    name: str,
    colour: str,
    symbol: str,
    size: int,
    token: Callable[[int], str],
) -> list[go.Scatter]:
    """Marks with their token above them and their sum of log-probabilities beneath."""
    texts = [token(ids[-1]) for _, _, ids, _ in marks]
    whole = ["".join(map(token, ids)) for _, _, ids, _ in marks]
    x, y = [mark[0] for mark in marks], [mark[1] for mark in marks]
    hovers = [
        f"…{theme.shorten(text[-60:], 61)}<br>sum of log-probabilities {total:.4f}"
        for text, (*_, total) in zip(whole, marks, strict=True)
    ]
    label = {"mode": "text", "x": x, "hoverinfo": "skip", "showlegend": False, "cliponaxis": False}
    return [
        go.Scatter(
            y=[mark[1] - _LABEL_GAP for mark in marks], textfont={"size": 14},
            text=[theme.shorten(t, 10) for t in texts], **label,
        ),
        go.Scatter(
            y=[mark[1] + _LABEL_GAP for mark in marks], textfont={"size": 11},
            text=[f"{total:.2f}" for *_, total in marks], **label,
        ),
        go.Scatter(
            x=x, y=y, name=name, mode="markers",
            marker={"color": colour, "symbol": symbol, "size": size,
                    "line": {"color": colour, "width": 2}},
            customdata=hovers, hovertemplate="%{customdata}", cliponaxis=False,
        ),
    ]  # fmt: skip
