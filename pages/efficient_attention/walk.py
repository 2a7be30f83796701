"""How does attention come about tile by tile? FlashAttention's walk through one head."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.read.flash import FlashWalk, TileStep, flash_walk
from pages.ask.computed import computed
from pages.efficient_attention.choices import Choices
from pages.efficient_attention.subject import Subject
from pages.state.visit import part, put
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.controls import pick_head, pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.shortcut import shortcut
from viz import output_distance, tile_map, tile_scores
from viz.numbers import Number, percent
from viz.theme import position_labels

TILE_HELP = "A tile of this many must fit into fast memory. Real ones hold 64 to 256."
ROWS_HELP = r"""
What is kept per query while tiles come and go (Dao et al. 2022, Algorithm 1, lines 10 to 13):
- the **largest score so far**, $m$, is taken away before the exponential, so
  that nothing overflows;
- the **sum so far**, $\ell = \sum e^{s - m}$, is what the softmax divides by;
- when $m$ grows to $m'$, what was summed before shrinks by $e^{m - m'}$;
- the output is mixed from old and new parts by their sums:
  $O' = (e^{m - m'} \ell\, O + e^{\tilde m - m'} \tilde P V) / \ell'$.
"""
MOST_TILES = 32
"""Tiles a side: more could not be told apart."""

_walk = computed(flash_walk, says="Walking through the tiles…")


class Tiles(NamedTuple):
    """Which head is walked through, and in which tiles."""

    layer: int
    head: int
    rows: int
    columns: int


def draw(subject: Subject) -> None:
    """Step through the tiles of one head."""
    found: FlashWalk | None = _walk(*subject.asked, *_pick_tiles(subject))
    if found is None:
        st.info(
            "This family keeps its queries and keys to itself: only the attention weights it "
            "returns are recorded, so there are no tiles to walk through.",
            icon=":material/info:",
        )
        return
    now = _pick_step(len(found.steps))
    step, labels = found.steps[now], position_labels(subject.labels)
    st.markdown(in_words(found, now))
    picture, tile = st.columns(2, gap="large")
    with picture:
        _map(found, now)
    with tile:
        _tile(step, labels)
    st.markdown("**What is kept per query**", help=ROWS_HELP)
    st.dataframe(kept_rows(step, labels[step.queries]), hide_index=True)
    st.markdown("**The output forms**: how far it is from the model's own, after each tile")
    distances = found.distances()
    chart(
        drawing(output_distance, distances, now),
        key="efficient_distance",
        alt=f"Largest difference to the final output after each step, {distances[now]:.1e} now",
    )
    _check(found, subject.info.dtype)
    csv_button(lambda: table_of(found, distances), "flash_steps")


def _pick_tiles(subject: Subject) -> Tiles:
    left, right = st.columns(2)
    with left:
        layer = pick_layer(subject.info, only_attention=True)
    with right:
        head = pick_head(subject.info)
    n_tokens, (left, right) = len(subject.tokens), st.columns(2)
    with left:
        rows = _pick_size("Queries", "rows", n_tokens)
    with right:
        columns = _pick_size("Keys", "columns", n_tokens)
    return Tiles(layer, head or 0, rows, columns)


def _pick_size(name: str, field: str, n_tokens: int) -> int:
    sizes = tile_sizes(n_tokens)
    if len(sizes) == 1:
        return sizes[0]
    return bind(
        st.select_slider,
        f"{name} per tile",
        f"efficient_attention.{field}",
        options=sizes,
        when_none=min(sizes, key=lambda size: abs(size - max(2, n_tokens / 4))),
        help=TILE_HELP,
    )


def tile_sizes(n_tokens: int) -> list[int]:
    """Return the sizes of tiles to choose from: powers of two that cut a text into a few parts."""
    sizes = [2**power for power in range(10) if 2**power * MOST_TILES >= n_tokens]
    return [size for size in sizes if size < 2 * n_tokens] or sizes[:1]


def _pick_step(n_steps: int) -> int:
    """Let the reader step forward and back; return the step, from 0."""
    if n_steps == 1:
        return 0
    at = min(part(Choices).step, n_steps)

    def move(by: int) -> None:
        change: dict[str, Any] = {"efficient_attention.step": at + by}
        put(change)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Back",
            key="efficient_back",
            icon=":material/arrow_back:",
            shortcut=shortcut("K"),
            disabled=at == 1,
            on_click=move,
            args=(-1,),
            help="The tile before (key K).",
        )
        st.button(
            "Next tile",
            key="efficient_next",
            icon=":material/arrow_forward:",
            shortcut=shortcut("J"),
            type="primary",
            disabled=at == n_steps,
            on_click=move,
            args=(1,),
            help="The next tile (key J).",
        )
        step = bind(st.slider, "Step", "efficient_attention.step", min_value=1, max_value=n_steps)
    return step - 1


def in_words(found: FlashWalk, now: int) -> str:
    """Say what happens in a step, counted from 0."""
    step = found.steps[now]
    had_read = np.isfinite(step.max_before)
    grown, fresh = int((step.max_after > step.max_before)[had_read].sum()), int((~had_read).sum())
    n_rows = len(step.max_before)
    what = [
        f"**Step {now + 1} of {len(found.steps)}.** {_named('Query', 'Queries', step.queries)} "
        f"meet{'s' if n_rows == 1 else ''} {_named('key', 'keys', step.keys)}."
    ]
    if fresh == n_rows:
        what.append("These queries have read nothing before: their output starts here.")
    elif fresh:
        what.append(f"{fresh} of them had read nothing before.")
    if grown:
        what.append(
            f"{grown} of {n_rows} found a score above their largest so far, so what they had "
            "summed up is scaled down first."
        )
    elif not fresh:
        what.append("None found a new largest score: what was summed before stays as it is.")
    return " ".join(what)


def _named(one: str, several: str, positions: slice) -> str:
    if positions.stop - positions.start == 1:
        return f"{one} {positions.start}"
    return f"{several} {positions.start} to {positions.stop - 1}"


def _map(found: FlashWalk, now: int) -> None:
    order = [(s.queries.start // found.rows, s.keys.start // found.columns) for s in found.steps]
    n_tokens = found.n_positions
    st.caption("**The matrix of scores, cut into tiles.** ● now, ✓ done, x left out (masked)")
    chart(
        drawing(
            tile_map,
            order,
            (-(-n_tokens // found.rows), -(-n_tokens // found.columns)),
            now,
            (found.rows, found.columns),
            n_tokens,
        ),
        key="efficient_tile_map",
        alt=f"Tiles of the score matrix: step {now + 1} of {len(order)} is computed",
    )


def _tile(step: TileStep, labels: list[str]) -> None:
    st.caption("**This tile in fast memory**: queries and keys of your prompt")
    chart(
        drawing(
            tile_scores, step.scores, step.tile_weights, labels[step.queries], labels[step.keys]
        ),
        key="efficient_tile",
        alt=f"Scores of queries {step.queries.start} to {step.queries.stop - 1} and keys "
        f"{step.keys.start} to {step.keys.stop - 1}",
    )


def kept_rows(step: TileStep, labels: list[str]) -> pd.DataFrame:
    """Return the running numbers of each query of a tile, before and after."""

    def number(value: Number) -> str:
        return "-∞" if np.isneginf(value) else f"{value:.4f}"

    return pd.DataFrame(
        {
            "Query": [_plain(label) for label in labels],
            "Largest score before": map(number, step.max_before),
            "in this tile": map(number, step.tile_max),
            "after": map(number, step.max_after),
            "Old sum shrinks to": [
                "" if not had else percent(kept)
                for had, kept in zip(step.sum_before > 0, step.kept, strict=True)
            ],
            "Sum before": map(number, step.sum_before),
            "Sum after": map(number, step.sum_after),
        }
    )


def _plain(label: str) -> str:
    """Undo the escaping for figures: tables show text as it stands."""
    return label.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _check(found: FlashWalk, dtype: str) -> None:
    """Say whether the walk ended in the model's own output."""
    size = float(np.abs(found.expected).max())
    n_tiles = found.n_skipped + len(found.steps)
    check(
        agree(found.difference, size, dtype),
        "the last tile's output equals this head's output by the model's own attention weights; "
        f"the largest difference over all {found.output.size:,} numbers is "
        f"**{found.difference:.1e}** (numbers up to {size:.2f}). {found.n_skipped} of {n_tiles} "
        "tiles were never computed, being masked.",
        f"the model's own output of this head differs by up to {found.difference:.4f}: this family "
        "adds something to its scores (such as a sink) that this walk leaves out.",
    )


def table_of(found: FlashWalk, distances: Float[np.ndarray, "step"]) -> pd.DataFrame:
    """Return a line per step of the walk."""
    return pd.DataFrame(
        [
            {
                "step": i + 1,
                "first_query": step.queries.start,
                "last_query": step.queries.stop - 1,
                "first_key": step.keys.start,
                "last_key": step.keys.stop - 1,
                "numbers_moved": step.moved,
                "largest_difference_to_output": distances[i],
            }
            for i, step in enumerate(found.steps)
        ]
    )
