"""FlashAttention, on the Efficient attention page: its walk, its memory traffic, its time."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import InlookError, ModelInfo
from model_hooks.experiments.backends import BACKENDS, BackendRun, Progress, Shapes
from model_hooks.read.flash import (
    FlashWalk,
    TileStep,
    flash_walk,
    standard_accesses,
    tile_sizes,
    tiled_accesses,
)
from pages.ask.session import trace_of
from pages.efficient_attention.views import ARITHMETIC, MEASURED, Subject, itemsize_of
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.controls import pick_head, pick_layer
from pages.widgets.download import csv_button
from pages.text import escape_markdown, size_text
from viz import (
    BackendLine,
    backend_costs,
    memory_traffic,
    output_distance,
    tile_map,
    tile_scores,
)
from viz.theme import position_labels

WALK, TRAFFIC, TIMES = "Walk through the tiles", "Count trips to memory", "Measure this machine"
FLASH_HELP = (
    "**FlashAttention** (Dao et al. 2022) computes ordinary attention, not an approximation. A "
    "processor has a little fast memory (SRAM) and a lot of slow memory (HBM, the GPU's main one). "
    "Standard attention writes the whole matrix of scores to slow memory and reads it back. "
    "FlashAttention cuts the matrix into tiles that fit into fast memory and never stores it."
)
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
TOLERANCE = 1e-4
SRAM_SIZES = tuple(2**power * 1024 for power in range(2, 9))
TRAFFIC_LENGTHS = tuple(2**power for power in range(5, 18))
TIMED_LENGTHS = (256, 512, 1024, 2048)
_RUN = "efficient.backends"


def draw(subject: Subject) -> None:
    """Draw the tab."""
    part = st.segmented_control(
        "What to look at",
        [WALK, TRAFFIC, TIMES],
        default=WALK,
        required=True,
        key="efficient.flash",
        help=FLASH_HELP,
        persist_state="session",
    )
    {WALK: walk, TRAFFIC: traffic, TIMES: times}[part](subject)


class Tiles(NamedTuple):
    """Which head is walked through, and in which tiles."""

    layer: int
    head: int
    rows: int
    columns: int


@st.cache_resource(max_entries=8, show_spinner="Walking through the tiles…")
def walk_of(model_name: str, token_ids: tuple[int, ...], tiles: tuple) -> FlashWalk | None:
    """Walk through one head of a prompt; shared between sessions, for it is never changed."""
    return flash_walk(trace_of(model_name, token_ids), *tiles)


def walk(subject: Subject) -> None:
    """Step through the tiles of one head."""
    tiles = _pick_tiles(subject)
    found = walk_of(selection().model, subject.token_ids, tuple(tiles))
    if found is None:
        st.info(
            "This family keeps its queries and keys to itself: only the attention weights it "
            "returns are recorded, so there are no tiles to walk through.",
            icon=":material/info:",
        )
        return
    now = _pick_step(len(found.steps))
    step = found.steps[now]
    st.markdown(_in_words(found, step, now))
    labels = position_labels(subject.labels)
    picture, tile = st.columns(2, gap="large")
    order = [(s.queries.start // found.rows, s.keys.start // found.columns) for s in found.steps]
    n_tokens = found.n_positions
    with picture:
        st.caption("**The matrix of scores, cut into tiles.** ● now, ✓ done, x left out (masked)")
        chart(
            tile_map(
                order,
                (-(-n_tokens // found.rows), -(-n_tokens // found.columns)),
                now,
                (found.rows, found.columns),
                n_tokens,
            ),
            key="efficient.tile_map",
            alt=f"Tiles of the score matrix: step {now + 1} of {len(order)} is computed",
        )
    with tile:
        st.caption("**This tile in fast memory**: queries and keys of your prompt")
        chart(
            tile_scores(step.scores, step.tile_weights, labels[step.queries], labels[step.keys]),
            key="efficient.tile",
            alt=f"Scores of queries {step.queries.start} to {step.queries.stop - 1} and keys "
            f"{step.keys.start} to {step.keys.stop - 1}",
        )
    st.markdown("**What is kept per query**", help=ROWS_HELP)
    st.dataframe(_rows(step, labels[step.queries]), hide_index=True)
    st.markdown("**The output forms**: how far it is from the model's own, after each tile")
    distances = found.distances()
    chart(
        output_distance(distances, now),
        key="efficient.distance",
        alt=f"Largest difference to the final output after each step, {distances[now]:.1e} now",
    )
    _check(found)
    csv_button(lambda: _steps_table(found, distances), "flash_steps")


def _pick_tiles(subject: Subject) -> Tiles:
    info, n_tokens = subject.model.info, len(subject.trace)
    left, right = st.columns(2)
    with left:
        layer = pick_layer(info, key="efficient.walk_layer", only_attention=True)
    with right:
        head = pick_head(info, key="efficient.walk_head")
    sizes = [2**power for power in range(10) if 2**power * MOST_TILES >= n_tokens]
    sizes = [size for size in sizes if size < 2 * n_tokens] or sizes[:1]
    at_first = min(sizes, key=lambda size: abs(size - max(2, n_tokens / 4)))
    chosen = []
    for column, name in zip(st.columns(2), ("Queries", "Keys"), strict=True):
        key = f"efficient.{name.lower()}_per_tile.{len(sizes)}.{sizes[0]}"
        if len(sizes) == 1:
            chosen.append(sizes[0])
            continue
        chosen.append(
            column.select_slider(f"{name} per tile", sizes, at_first, key=key, help=TILE_HELP)
        )
    return Tiles(layer, head, *chosen)


def _pick_step(n_steps: int) -> int:
    """Let the reader step forward and back; returns the step, from 0."""
    key = "efficient.step"
    st.session_state[key] = min(max(1, st.session_state.get(key, 1)), n_steps)
    if n_steps == 1:
        return 0

    def move(by: int) -> None:
        st.session_state[key] = min(max(1, st.session_state[key] + by), n_steps)

    at = st.session_state[key]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Back", key="efficient.back", icon=":material/arrow_back:", shortcut="B",
            disabled=at == 1, on_click=move, args=(-1,), help="The tile before (key B).",
        )  # fmt: skip
        st.button(
            "Next tile", key="efficient.next", icon=":material/arrow_forward:", shortcut="N",
            type="primary", disabled=at == n_steps, on_click=move, args=(1,),
            help="The next tile (key N).",
        )  # fmt: skip
        st.slider("Step", 1, n_steps, key=key)
    return st.session_state[key] - 1


def _in_words(found: FlashWalk, step: TileStep, now: int) -> str:
    """Say what happens in a step."""
    grown = int((step.max_after > step.max_before)[np.isfinite(step.max_before)].sum())
    fresh = int(np.isneginf(step.max_before).sum())
    n_rows = len(step.max_before)
    what = [
        f"**Step {now + 1} of {len(found.steps)}.** {_named('query', 'queries', step.queries)} "
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
        return f"{one.capitalize() if one == 'query' else one} {positions.start}"
    name = several.capitalize() if one == "query" else several
    return f"{name} {positions.start} to {positions.stop - 1}"


def _rows(step: TileStep, labels: list[str]) -> pd.DataFrame:
    """The running numbers of each query of a tile, before and after."""

    def number(value: float) -> str:
        return "-∞" if np.isneginf(value) else f"{value:.4f}"

    return pd.DataFrame(
        {
            "Query": [_plain(label) for label in labels],
            "Largest score before": map(number, step.max_before),
            "in this tile": map(number, step.tile_max),
            "after": map(number, step.max_after),
            "Old sum shrinks to": [
                "" if not had else f"{kept:.1%}"
                for had, kept in zip(step.sum_before > 0, step.kept, strict=True)
            ],
            "Sum before": map(number, step.sum_before),
            "Sum after": map(number, step.sum_after),
        }
    )


def _plain(label: str) -> str:
    """Undo the escaping for figures: tables show text as it stands."""
    return label.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _check(found: FlashWalk) -> None:
    """Say whether the walk ended in the model's own output."""
    size = float(np.abs(found.expected).max())
    if found.difference <= TOLERANCE * max(1.0, size):
        st.caption(
            f":green[:material/check_circle:] Check: the last tile's output equals this head's "
            f"output by the model's own attention weights; the largest difference over all "
            f"{found.output.size:,} numbers is **{found.difference:.1e}** (numbers up to "
            f"{size:.2f}). {found.n_skipped} of {found.n_skipped + len(found.steps)} tiles were "
            "never computed, being masked."
        )
    else:
        st.caption(
            f":orange[:material/info:] Check: the model's own output of this head differs by up to "
            f"{found.difference:.4f}: this family adds something to its scores (such as a sink) "
            "that this walk leaves out."
        )


def _steps_table(found: FlashWalk, distances: np.ndarray) -> pd.DataFrame:
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


def traffic(subject: Subject) -> None:
    """Count the bytes that standard and tiled attention move."""
    info, n_tokens = subject.model.info, len(subject.trace)
    itemsize, d_head = itemsize_of(subject.model), info.d_head
    sram = st.select_slider(
        "Fast memory (SRAM) for one head",
        SRAM_SIZES,
        128 * 1024,
        key="efficient.sram",
        format_func=lambda n: f"{n // 1024} KiB",
        help="An A100 GPU has 192 KB in each of its 108 multiprocessors (Dao et al. 2022, 2.1).",
    )
    rows, columns = tile_sizes(d_head, sram // itemsize)
    standard = standard_accesses(n_tokens, d_head) * itemsize
    tiled = tiled_accesses(n_tokens, d_head, columns) * itemsize
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Tile", f"{rows} x {columns}", width="content",
            help="Queries x keys: B_c = M / 4d, B_r = min(B_c, d), for M numbers of fast memory.",
        )  # fmt: skip
        st.metric(
            f"Standard, {n_tokens:,} tokens", size_text(standard), width="content",
            help="4nd + 4n² numbers: the scores and the weights are each written and read back.",
        )  # fmt: skip
        st.metric(
            f"Tiled, {n_tokens:,} tokens", size_text(tiled), f"{tiled / standard - 1:+.0%}",
            delta_color="inverse", width="content",
            help="3nd + 2n + ceil(n / B_c) (3nd + 4n) numbers.",
        )  # fmt: skip
    lengths = TRAFFIC_LENGTHS
    chart(
        memory_traffic(
            lengths,
            [standard_accesses(n, d_head) * itemsize for n in lengths],
            [tiled_accesses(n, d_head, columns) * itemsize for n in lengths],
            n_tokens,
            (standard, tiled),
        ),
        key="efficient.traffic",
        alt=f"Bytes moved by standard ({size_text(standard)} here) and tiled "
        f"({size_text(tiled)} here) attention against the length of the text",
    )
    if tiled > standard:
        st.info(
            "On a text this short, tiling moves more: the matrix of scores is no larger than the "
            "queries and keys it is made of. It pays as the text grows.",
            icon=":material/info:",
        )
    st.caption(
        f"{ARITHMETIC} One head of width d = {d_head} in {info.dtype}, all pairs counted (no mask "
        "saves anything). Dao et al. 2022, Algorithms 0 and 1: standard attention moves "
        "4nd + 4n² numbers; tiled attention 3nd + 2n + T_c (3nd + 4n), with T_c = ceil(n / B_c) "
        "tiles of keys, which is of the order n²d²/M (Theorem 2)."
    )
    csv_button(
        lambda: pd.DataFrame(
            {"n_tokens": lengths,
             "standard_bytes": [standard_accesses(n, d_head) * itemsize for n in lengths],
             "tiled_bytes": [tiled_accesses(n, d_head, columns) * itemsize for n in lengths]}
        ),
        "memory_traffic",
    )  # fmt: skip


def times(subject: Subject) -> None:
    """Measure the backends of this machine, on the side."""
    st.markdown(
        "Four ways to compute the very same attention, on random numbers in the shapes of one "
        f"layer of this model ({subject.model.info.n_heads} query heads, "
        f"{subject.model.info.n_kv_heads} KV heads, width {subject.model.info.d_head}).",
        help="**eager**: the formula, step by step. **sdpa**: torch's built-in function, with its "
        "plain (math) or its tiled (flash) kernel. **flex**: tiled code that torch compiles for "
        "this mask, which takes some 15 seconds per length at first.",
    )
    run: BackendRun | None = st.session_state.get(_RUN)
    shapes = Shapes.of(subject.model.info)
    if run is not None and run.shapes != shapes:
        run.stop()
        run = None
    running = run is not None and run.progress.running
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Measure", key="efficient.measure", icon=":material/timer:", type="primary",
            disabled=running, on_click=_start, args=(subject.model.info,),
        )  # fmt: skip
        st.button(
            "Stop", key="efficient.stop", icon=":material/stop:", disabled=not running,
            on_click=_stop, help="What is measured so far stays.",
        )  # fmt: skip
    if problem := st.session_state.pop(f"{_RUN}.problem", None):
        st.warning(escape_markdown(problem), icon=":material/info:")
    if run is not None:
        st.fragment(_results, run_every=0.7 if running else None)(run, running)
    else:
        st.caption(
            "A process of its own does it, in about a minute, so nobody's clicks wait for it."
        )


def _start(info: ModelInfo) -> None:
    try:
        st.session_state[_RUN] = BackendRun(Shapes.of(info), TIMED_LENGTHS)
    except InlookError as error:
        st.session_state[f"{_RUN}.problem"] = str(error)


def _stop() -> None:
    st.session_state[_RUN].stop()


def _results(run: BackendRun, was_running: bool) -> None:
    """Draw what was measured so far; called again and again while the process runs."""
    progress = run.progress
    if was_running and not progress.running:
        st.rerun()
    if progress.running:
        doing = f"Measuring {progress.doing}…" if progress.doing else "Starting a process…"
        st.caption(f":material/hourglass_top: {doing}")
    elif progress.failure:
        st.warning(progress.failure, icon=":material/error:")
    if progress.measurements:
        chart(
            backend_costs(_lines(progress), run.lengths),
            key="efficient.backend_costs",
            alt="Time and peak memory of each backend against the length of the text",
        )
        if not progress.running:
            _conclusion(progress)
    for name, reason in progress.unavailable:
        st.caption(f":material/block: **{name}** does not run here: {escape_markdown(reason)}.")
    if left_out := run.left_out():
        st.caption(
            f"At {' and '.join(f'{n:,}' for n in left_out)} tokens, the matrix of scores would "
            "take more than half of the free memory: eager and sdpa math are left out there."
        )
    if progress.measurements:
        st.caption(
            f"{MEASURED} on {run.shapes.device}, {run.shapes.dtype}, {run.n_threads} "
            f"thread{'s' * (run.n_threads > 1)}: one run to warm up, then the median of "
            f"{min(m.n_runs for m in progress.measurements)} or more; thin lines reach from the "
            "fastest to the slowest. Memory is what is taken beyond queries, keys and values; "
            "below 1 MB, the system counts it only roughly."
        )
        csv_button(lambda: pd.DataFrame(map(vars, progress.measurements)), "attention_backends")


def _lines(progress: Progress) -> list[BackendLine]:
    lines = []
    for name in BACKENDS:
        mine = [m for m in progress.measurements if m.backend == name]
        lines.append(
            BackendLine(
                name,
                [m.n_positions for m in mine],
                [m.seconds for m in mine],
                [m.fastest for m in mine],
                [m.slowest for m in mine],
                [m.peak_bytes for m in mine],
            )
        )
    return lines


def _conclusion(progress: Progress) -> None:
    """Say what tiling saved at the longest length that both were measured at."""
    by = {(m.backend, m.n_positions): m for m in progress.measurements}
    both = [n for name, n in by if name == "sdpa flash" and ("eager", n) in by]
    if not both:
        return
    eager, flash = by["eager", max(both)], by["sdpa flash", max(both)]
    text = (
        f"At {max(both):,} tokens, tiled attention (sdpa flash) took "
        f"**{_duration(flash.seconds)}**, eager **{_duration(eager.seconds)}**: "
        f"{eager.seconds / flash.seconds:.1f} times as long"
    )
    if eager.peak_bytes and flash.peak_bytes:
        text += f", with {size_text(eager.peak_bytes)} of memory instead of "
        text += size_text(flash.peak_bytes) if flash.peak_bytes >= 1e6 else "less than 1 MB"
    st.markdown(text + ".")


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
