"""What cheaper attention takes away: masks, the loss of each token, heads that share keys."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, UInt8

from viz import theme
from viz.attention import block_labels, block_size

LATER, OUTSIDE, TAKEN, READ = range(4)
"""What a cell of a mask can be, the higher the more it matters where cells are joined."""
CELLS = (
    "later in the text",
    "outside the model's own window",
    "taken away by the pattern",
    "may be read",
)
MIN_HEIGHT, MAX_HEIGHT, LEGEND_PX = 280, 480, 64
HEAD_PX, ROW_PX = 34, 74


def mask_cells(
    own: Bool[np.ndarray, "query key"], left: Bool[np.ndarray, "query key"]
) -> UInt8[np.ndarray, "query key"]:
    """Say of each query and key whether it may be read, and if not, why: an index of `CELLS`.

    Args:
        own: What the model's own mask lets be read.
        left: What is left of it.
    """
    cells = np.where(np.tri(len(own), dtype=bool), OUTSIDE, LATER)
    return np.where(left, READ, np.where(own, TAKEN, cells)).astype(np.uint8)


def mask_picture(cells: UInt8[np.ndarray, "query key"], tokens: Sequence[str]) -> go.Figure:
    """Draw which keys each query may read, the first query on top.

    Of many tokens, neighbours are joined: a cell shows the best that one of its pairs gets.

    Args:
        cells: From `mask_cells`.
        tokens: Labels of rows and columns.
    """
    block = block_size(len(tokens))
    labels = theme.position_labels(tokens)
    if block > 1:
        starts = np.arange(0, len(tokens), block)
        cells = np.maximum.reduceat(np.maximum.reduceat(cells, starts, 0), starts, 1)
        labels = block_labels(tokens, block, 0)
    colours = (theme.SEQUENTIAL[0], theme.MASKED, theme.KEY, theme.QUERY)
    steps = [(edge / 4, colours[i]) for i in range(4) for edge in (i, i + 1)]
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=labels,
            y=labels,
            zmin=-0.5,
            zmax=3.5,
            colorscale=steps,
            showscale=False,
            xgap=1 if len(labels) <= 64 else 0,
            ygap=1 if len(labels) <= 64 else 0,
            hovertext=np.array(CELLS, dtype=object)[cells] if len(labels) <= 64 else None,
            hovertemplate=(
                "query %{y}<br>key %{x}<br>%{hovertext}<extra></extra>"
                if len(labels) <= 64
                else "query %{y}<br>key %{x}<extra></extra>"
            ),
        )
    )
    # Colours alone tell nobody what is what: each kind that occurs gets a named mark.
    symbols = ("square-open", "square-cross-open", "x", "square")
    for kind in (READ, TAKEN, OUTSIDE):
        if (cells == kind).any():
            figure.add_scatter(
                x=[None], y=[None], mode="markers", name=CELLS[kind],
                marker={"symbol": symbols[kind], "size": 10,
                        "color": theme.RESIDUAL if kind == OUTSIDE else colours[kind]},
            )  # fmt: skip
    if (cells == TAKEN).any() and len(labels) <= 40:
        rows, columns = np.nonzero(cells == TAKEN)
        figure.add_scatter(
            x=[labels[i] for i in columns], y=[labels[i] for i in rows], mode="markers",
            marker={"symbol": "x", "size": 6, "color": theme.SEQUENTIAL[0]},
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    axis = {"type": "category", "ticks": "", "showgrid": False, "categoryorder": "array",
            "categoryarray": labels}  # fmt: skip
    figure.update_xaxes(title="key: what is read", side="bottom", tickangle=-90, **axis)
    figure.update_yaxes(title="query: who reads", autorange="reversed", **axis)
    height = min(max(len(labels) * theme.CELL_PX, MIN_HEIGHT), MAX_HEIGHT)
    return figure.update_layout(
        height=height + LEGEND_PX + 80,
        margin={"t": LEGEND_PX, "r": 5, "b": 5, "l": 5},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    )


def loss_changes(
    before: Float[np.ndarray, "pos"],
    after: Float[np.ndarray, "pos"],
    tokens: Sequence[str],
    change: str,
) -> go.Figure:
    """Draw how much worse (up) or better (down) each token of the prompt is predicted.

    Args:
        before: Loss of each token but the first, in bits.
        after: The same after a change.
        tokens: Labels of all tokens, the first included.
        change: What was changed, for the hovers.
    """
    labels = theme.position_labels(tokens)[1:]
    difference = after - before
    figure = go.Figure(
        go.Bar(
            x=labels,
            y=difference,
            marker={
                "color": [theme.KEY if worse else theme.VALUE for worse in difference > 0],
                "pattern": {"shape": ["/" if worse else "" for worse in difference > 0], "size": 4},
            },
            customdata=np.stack([2.0**-before, 2.0**-after], -1),
            hovertemplate=(
                "%{x}<br>probability as it is %{customdata[0]:.2%}<br>"
                f"{change} %{{customdata[1]:.2%}}<br>"
                "loss %{y:+.3f} bits<extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title="token that is predicted", type="category", tickangle=-90)
    figure.update_yaxes(title="added loss (bits)", zeroline=True, fixedrange=True, nticks=6)
    return figure.update_layout(height=260, margin={"t": 8, "b": 5, "r": 5}, bargap=0.2)


def layer_losses(
    layers: Sequence[int], losses: Sequence[float], whole: float, together: float | None
) -> go.Figure:
    """Draw the loss with a change in one layer at a time.

    Args:
        layers: Their numbers.
        losses: The mean loss with the change in that layer alone, in bits.
        whole: The loss without any change, drawn as a line.
        together: The loss with the change in all of these layers, or None.
    """
    labels = [f"layer {layer}" for layer in layers]
    values = list(losses)
    if together is not None:
        labels, values = [*labels, "all of them"], [*values, together]
    figure = go.Figure(
        go.Bar(
            x=labels,
            y=[value - whole for value in values],
            marker={
                "color": theme.KEY,
                "pattern": {"shape": [""] * len(losses) + ["/"] * (together is not None)},
            },
            customdata=values,
            hovertemplate=(
                "changed in %{x}<br>loss %{customdata:.3f} bits per token "
                "(%{y:+.3f})<extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title="where the change acts", type="category", fixedrange=True)
    figure.update_yaxes(title="added loss (bits per token)", fixedrange=True, nticks=6)
    return figure.update_layout(height=240, margin={"t": 8, "b": 5, "r": 5}, bargap=0.25)


def head_sharing(
    n_heads: int, n_kv_heads: int, n_groups: int, selected: int | None = None
) -> go.Figure:
    """Draw which query heads read which KV head, and which KV heads share a mean.

    Args:
        n_heads: Query heads.
        n_kv_heads: KV heads, each shared by neighbouring query heads.
        n_groups: Groups that KV heads are pooled into; as many as KV heads pools nothing.
        selected: A query head to single out.
    """
    kv_of = [head * n_kv_heads // n_heads for head in range(n_heads)]
    group_of = [kv * n_groups // n_kv_heads for kv in range(n_kv_heads)]
    pooled = n_groups < n_kv_heads
    width = max(n_heads, 2)

    def places(n: int) -> list[float]:
        return [(i + 0.5) * width / n for i in range(n)]

    heads, keys, groups = places(n_heads), places(n_kv_heads), places(n_groups)
    figure = go.Figure()
    links = [((heads[i], 2), (keys[kv], 1), i == selected) for i, kv in enumerate(kv_of)]
    if pooled:
        chosen = None if selected is None else kv_of[selected]
        links += [((keys[i], 1), (groups[g], 0), i == chosen) for i, g in enumerate(group_of)]
    for is_selected in (False, True):
        drawn = [(start, end) for start, end, chosen in links if chosen == is_selected]
        xs = [x for start, end in drawn for x in (start[0], end[0], None)]
        ys = [y for start, end in drawn for y in (start[1], end[1], None)]
        colour = theme.HIGHLIGHT if is_selected else theme.RESIDUAL
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line={"color": colour, "width": 3 if is_selected else 1},
            hoverinfo="skip",
        )  # fmt: skip
    rows = [
        (heads, 2, "query head", theme.QUERY, "circle",
         [f"reads KV head {kv}" for kv in kv_of]),
        (keys, 1, "KV head", theme.KEY, "square",
         [f"read by query heads {_span(i, kv_of)}" for i in range(n_kv_heads)]),
    ]  # fmt: skip
    if pooled:
        names = [f"the mean of KV heads {_span(g, group_of)}" for g in range(n_groups)]
        rows.append((groups, 0, "shared head", theme.VALUE, "diamond", names))
    for xs, y, name, colour, symbol, notes in rows:
        figure.add_scatter(
            x=xs,
            y=[y] * len(xs),
            mode="markers+text" if len(xs) <= 32 else "markers",
            marker={"color": colour, "size": 22 if len(xs) <= 32 else 7, "symbol": symbol},
            text=[str(i) for i in range(len(xs))],
            textfont={"color": theme.SEQUENTIAL[0], "size": 11},
            customdata=[[name, i, note] for i, note in enumerate(notes)],
            hovertemplate="%{customdata[0]} %{customdata[1]}: %{customdata[2]}<extra></extra>",
        )
    ticks = [2, 1, 0] if pooled else [2, 1]
    figure.update_yaxes(
        tickmode="array", tickvals=ticks, fixedrange=True, showgrid=False, zeroline=False,
        ticktext=["query heads", "KV heads", "shared means"][: len(ticks)],
        range=[min(ticks) - 0.45, 2.45],
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, width], fixedrange=True)
    return figure.update_layout(
        height=ROW_PX * len(ticks) + 20, showlegend=False, margin={"t": 5, "b": 5, "r": 5}
    )


def converted_and_trained(
    names: Sequence[str],
    converted: Sequence[float | None],
    trained: Sequence[float | None],
    measure: str,
) -> go.Figure:
    """Draw the loss of models whose KV heads were averaged beside that of models trained so.

    Args:
        names: What each group of bars is about.
        converted: Loss after averaging; None where there is nothing to average.
        trained: Loss of the model that was trained that way; None where there is none.
        measure: What the loss is measured in.
    """
    figure = go.Figure()
    for name, values, colour, pattern in (
        ("trained that way", trained, theme.RESIDUAL, ""),
        ("converted by averaging", converted, theme.KEY, "/"),
    ):
        figure.add_bar(
            x=list(names), y=list(values), name=name,
            marker={"color": colour, "pattern": {"shape": pattern, "size": 5}},
            text=["" if value is None else f"{value:.2f}" for value in values],
            textposition="outside", cliponaxis=False,
            hovertemplate=f"%{{x}}, {name}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="KV heads per layer", type="category", fixedrange=True)
    figure.update_yaxes(title=measure, rangemode="tozero", fixedrange=True, nticks=5)
    return figure.update_layout(
        height=300,
        margin={"t": 40, "b": 5, "r": 5},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )


def _span(group: int, group_of: Sequence[int]) -> str:
    members = [i for i, other in enumerate(group_of) if other == group]
    return str(members[0]) if len(members) == 1 else f"{members[0]} to {members[-1]}"
