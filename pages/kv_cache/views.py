"""What the KV cache page draws of steps, races, the cache itself and a context that is full."""

import html

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.experiments.timing import SideBySide, TimedRun, TimedStep
from model_hooks.read.cache_sizes import sizes_of
from model_hooks.write.caching import keys_and_values, layers_with_state
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import pick_layer, show_value
from pages.widgets.download import csv_button
from pages.widgets.next_pages import link_pages
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, operations, size_text, visible
from viz.kv_cache import (
    cache_contents,
    cache_growth,
    step_grid,
)

STEP = "kv_cache.step"
MOST_LAYERS = 8
"""Layers listed without scrolling."""
MOST_ROWS = 40
"""Positions of the cache drawn at once, the newest."""
"""Below this ratio the cache hardly pays."""

CACHE_HELP = (
    "At every layer, each position is turned into a **key** (what it offers) and a **value** "
    "(what it hands over). Later positions read them, and they never change again, because a "
    "position looks only at what comes before it. So they can be kept: that is the KV cache."
)
GRID_HELP = (
    "One row per step, one column per position of the text. **Computed**: the position ran through "
    "all layers in this step. **Read from the cache**: only its kept keys and values were used."
)
PHASES_HELP = (
    "**Prefill** runs the whole prompt at once and gives the first new token. **Decode** gives "
    "every later token. With the cache, decode runs one position; without it, every token is a "
    "prefill of the whole text so far."
)
FLOP_HELP = (
    "FLOP: one addition or multiplication of two numbers. Counted are all matrix products, from "
    "the model's own sizes (2 m k n for an m x k times a k x n matrix)."
)
DIGITS = {"float32": 7, "float64": 16, "float16": 3, "bfloat16": 2}


def cache_problem(pair: SideBySide) -> str | None:
    """Return one sentence if this model cannot keep keys and values to go on from."""
    if len(pair) == 0 or pair.on.cache is not None:
        return None
    info = pair.on.model.info
    return (
        f"{info.name} ({info.family}) keeps no keys and values that it can go on from, so its "
        "cache cannot be switched on: both runs compute everything in every step."
    )


def cache_note(pair: SideBySide) -> str | None:
    """Return one sentence if the cache holds something else than keys and values per position."""
    info, cache = pair.on.model.info, pair.on.cache
    if states := layers_with_state(cache):
        return (
            f"In {len(states)} of {info.n_layers} layers, this model keeps a state of fixed size "
            "that sums up the whole text (a recurrent layer) instead of keys and values per "
            "position: that part of its cache never grows."
        )
    sizes = None if cache is None else sizes_of(cache, info)
    if sizes and any(layer.window for layer in sizes.layers):
        n_windows = sum(layer.window is not None for layer in sizes.layers)
        longest = max(layer.window for layer in sizes.layers if layer.window)
        return (
            f"{n_windows} of {info.n_layers} layers look back at most {longest:,} positions "
            "(a sliding window), so their part of the cache stops growing there."
        )
    return None


def pick_step(pair: SideBySide) -> int:
    """Return the step that is looked at, from 0: the newest unless another was chosen."""
    chosen = st.session_state.get(STEP)
    return len(pair) - 1 if chosen is None else min(chosen, len(pair)) - 1


def text_strip(pair: SideBySide, step: int) -> None:
    """Show the text; a click on a written token picks its step."""
    run, n_prompt = pair.on, len(pair.on.prompt_ids)

    def pick(pos: int) -> None:
        st.session_state[STEP] = max(1, pos - n_prompt + 1)

    token_strip(
        run.model.token_strings(run.token_ids),
        key="kv_cache.tokens",
        selected=n_prompt + step,
        on_pick=pick,
        marks={n_prompt + i: str(i + 1) for i in range(len(pair))},
        height=130,
        label="The text: prompt, then generated tokens with their step",
    )


def step_slider(pair: SideBySide, step: int) -> None:
    """Choose the step by keyboard or mouse."""
    if len(pair) < 2:
        return
    show_value("kv_cache.slider", step + 1)
    st.slider(
        "Step to look at", 1, len(pair), key="kv_cache.slider",
        on_change=lambda: st.session_state.update({STEP: st.session_state["kv_cache.slider"]}),
    )  # fmt: skip


def grids(pair: SideBySide, step: int) -> None:
    """Draw what both runs computed and read, side by side."""
    columns = st.columns(2, gap="medium")
    for column, run, title in zip(
        columns, (pair.on, pair.off), ("KV cache on", "KV cache off"), strict=True
    ):
        name = "on" if run.use_cache else "off"
        labels = [visible(token) for token in run.model.token_strings(run.token_ids)]
        with column:
            st.subheader(title, help=GRID_HELP)
            computed = [done.rows_computed for done in run.steps]
            chart(
                step_grid(
                    labels,
                    [done.pos for done in run.steps],
                    computed,
                    [done.rows_read for done in run.steps],
                    selected=step,
                ),
                key=f"kv_cache_grid_{name}",
                on_cell=lambda cell: st.session_state.update({STEP: cell[0] + 1}),
                alt=f"{title}: positions computed per step: "
                + ", ".join(str(n) for n in computed[:40]),
            )


def step_facts(pair: SideBySide, step: int) -> None:
    """Compare what one step took in both runs."""
    on, off = pair.on.steps[step], pair.off.steps[step]
    token = visible(pair.on.model.token_strings([on.token_id])[0])
    rows = [
        ("Phase", _phase(on, step), _phase(off, step)),
        ("Positions computed", f"{on.rows_computed:,}", f"{off.rows_computed:,}"),
        ("Positions read from the cache", _read(pair, on), _read(pair, off)),
        ("Work", operations(on.flops), operations(off.flops)),
        ("Time (this one run)", f"{on.seconds * 1e3:,.1f} ms", f"{off.seconds * 1e3:,.1f} ms"),
        ("Bytes held afterwards", size_text(on.cache_bytes) if on.cache_bytes else "none", "none"),
    ]
    st.markdown(
        f"**Step {step + 1}** writes **{escape_markdown(token)}** at position {on.pos}.",
        help=f"{PHASES_HELP}\n\n{FLOP_HELP}",
    )
    st.html(facts_table(["", "Cache on", "Cache off"], rows))
    csv_button(lambda: steps_frame(pair), "kv_cache_steps")


def proof(pair: SideBySide, n_rounds: int = 1) -> None:
    """Say whether both runs wrote the same tokens, and by how much their logits differ."""
    info, n_steps, gap = pair.on.model.info, len(pair), pair.largest_difference
    if (parted := pair.parted_at) is None:
        in_rounds = f" in {n_rounds} rounds" if n_rounds > 1 else ""
        st.markdown(
            f":material/check_circle: **Same tokens in all {n_steps} steps{in_rounds}.** Largest "
            f"difference of any of the {info.vocab_size:,} logits: **{gap:.2g}**.",
            help=_why_not_zero(info),
        )
        return
    strings = [
        escape_markdown(visible(run.model.token_strings([run.steps[parted].token_id])[0]))
        for run in (pair.on, pair.off)
    ]
    margin = min(pair.on.steps[parted].margin, pair.off.steps[parted].margin)
    why = (
        f"There the two best tokens were only {margin:.2g} apart"
        if pair.on.decoding.strategy == "greedy"
        else "There the random draw fell close to the border between two tokens"
    )
    st.warning(
        f"The texts part at step {parted + 1}: {strings[0]} with the cache, {strings[1]} without. "
        f"{why}, and rounding in {info.dtype} changes logits by up to {gap:.2g}: both answers are "
        "right to the precision of this number format. From there on the runs write different "
        "texts.",
        icon=":material/call_split:",
    )


@st.fragment
def contents(pair: SideBySide) -> None:
    """Draw the tensors that the cache holds now."""
    run, info = pair.on, pair.on.model.info
    if run.cache is None:
        st.info("There is nothing yet: take a step." if not len(pair) else cache_problem(pair))
        return
    sizes, last = sizes_of(run.cache, info), run.steps[-1]
    st.markdown(
        f"After {len(pair)} {'step' if len(pair) == 1 else 'steps'} the cache holds "
        f"**{size_text(last.cache_bytes)}**: the keys and values of {last.pos:,} positions. The "
        "newest token is not among them: it was picked, but has not run through the model yet."
    )
    if sizes is None:
        st.info("No layer of this model keeps keys and values per position.")
        return
    left, right = st.columns([1.2, 1], gap="large")
    with left:
        table = layer_table(run)
        height = "content" if len(table) <= MOST_LAYERS else 250
        st.dataframe(table, hide_index=True, key="kv_cache.layers", height=height)
        st.caption(_sizes_check(run))
    with right:
        chart(
            cache_growth([step.cache_bytes for step in run.steps], len(run.prompt_ids)),
            key="kv_cache.growth",
            alt="Bytes that the cache holds after each step",
        )
    st.markdown(_what_decode_reads(run))

    st.subheader("The numbers themselves")
    layer_box, head_box = st.columns([1.4, 1])
    with layer_box:
        layer = pick_layer(info, key="kv_cache.layer", only_attention=True)
    kept = keys_and_values(run.cache, layer)
    if kept is None:
        st.info(f"Layer {layer} keeps nothing of its own: it reads what another layer kept.")
        return
    key, value = kept
    with head_box:
        head = st.selectbox(
            "KV head", range(len(key)), key="kv_cache.kv_head", persist_state="session",
            help="Each keeps one key and one value vector per position. With grouped-query "
            "attention, several query heads read the same one.",
        )  # fmt: skip
    head = min(head, len(key) - 1)
    first = max(0, key.shape[1] - MOST_ROWS)
    start = last.pos - key.shape[1] + first
    labels = [visible(t) for t in run.model.token_strings(run.token_ids)][start : last.pos]
    chart(
        cache_contents(key[head, first:], value[head, first:], labels, start=start),
        key="kv_cache.contents",
        alt=f"Keys and values of layer {layer}, KV head {head}, {len(labels)} positions",
    )
    st.caption(
        "One row per position; each decode step adds one at the bottom and changes none above."
        + (f" The newest {MOST_ROWS} rows are shown." if first else "")
    )
    numbers_from(
        None, key.shape, f"`past_key_values.layers[{layer}]`, keys and values, colours to the 98th "
        "percentile", layer,
    )  # fmt: skip
    csv_button(lambda: contents_frame(key[head], value[head], last.pos), "kv_cache_contents")


def try_next() -> None:
    """Link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    link_pages(
        {
            "efficient_attention": "**Efficient attention**: how can reading the cache cost less?",
            "generation": "**Generation**: switch the cache off while you write.",
            "attention": "**Attention**: what does each head read from the kept keys?",
        }
    )


def steps_frame(pair: SideBySide) -> pd.DataFrame:
    """Return every step of both runs as a table."""
    return pd.concat(
        [_run_frame(run).assign(cache="on" if run.use_cache else "off")
         for run in (pair.on, pair.off)]
    )  # fmt: skip


def contents_frame(key: np.ndarray, value: np.ndarray, end: int) -> pd.DataFrame:
    """Return the keys and values of one head as a table."""
    table = {"position": range(end - len(key), end)}
    table |= {f"key_{i}": key[:, i] for i in range(key.shape[1])}
    table |= {f"value_{i}": value[:, i] for i in range(value.shape[1])}
    return pd.DataFrame(table)


def layer_table(run: TimedRun) -> pd.DataFrame:
    """Return the tensors that the cache holds per layer."""
    rows = []
    for layer, kept in enumerate(run.cache.layers):
        key, value = getattr(kept, "keys", None), getattr(kept, "values", None)
        if key is None or value is None or key.ndim != 4:
            rows.append((layer, "none", "none", "", None))
            continue
        n_bytes = key.nbytes + value.nbytes
        dtype = str(key.dtype).removeprefix("torch.")
        rows.append((layer, _shape(key), _shape(value), dtype, n_bytes))
    names = ["Layer", "Keys", "Values", "Stored as", "Bytes"]
    return pd.DataFrame(rows, columns=names)


def _shape(tensor: object) -> str:
    batch, heads, positions, width = tensor.shape
    return f"{batch} × {heads} × {positions} × {width}"  # noqa: RUF001


def _run_frame(run: TimedRun) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": i,
            "position": step.pos,
            "token_id": step.token_id,
            "positions_computed": step.rows_computed,
            "positions_read": step.rows_read,
            "seconds": step.seconds,
            "flop": step.flops,
            "cache_bytes": step.cache_bytes,
        }
        for i, step in enumerate(run.steps, 1)
    )


def _phase(step: TimedStep, step_id: int) -> str:
    if not step.prefill:
        return "decode"
    return "prefill" if step_id == 0 else "everything again"


def _read(pair: SideBySide, step: TimedStep) -> str:
    if not step.rows_read:
        return "none"
    return (
        f"{step.rows_read:,} in each layer" if not cache_note(pair) else f"up to {step.rows_read:,}"
    )


def facts_table(head: list[str], rows: list[tuple[str, ...]]) -> str:
    """A small table whose first column names the rows."""
    cells = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{html.escape(row[0])}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class='facts'><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _why_not_zero(info: ModelInfo) -> str:
    digits = DIGITS.get(info.dtype)
    holds = f" holds about {digits} significant digits" if digits else " holds few digits"
    return (
        f"Not exactly 0, because {info.dtype}{holds}, and a product of one row is added up in "
        "another order than a product of many rows: the last digits differ. Tokens differ only "
        "where the two best are closer than that."
    )


def _sizes_check(run: TimedRun) -> str:
    sizes, last = sizes_of(run.cache, run.model.info), run.steps[-1]
    first = sizes.layers[0]
    expected = sizes.n_bytes(last.pos)
    if len(set(sizes.layers)) > 1 or first.d_key != first.d_value or first.window:
        formula = f"summed over {len(sizes.layers)} layers"
    else:
        formula = (
            f"2 × {len(sizes.layers)} layers × {first.n_kv_heads} KV heads × {first.d_key} "  # noqa: RUF001
            f"numbers × {first.bytes_per_number} bytes × {last.pos:,} positions"  # noqa: RUF001
        )
    agrees = (
        "just what the tensors take"
        if expected == last.cache_bytes
        else f"the tensors take {last.cache_bytes:,} with the states of other layers"
    )
    return (
        "Shapes are batch × KV heads × positions × numbers per vector. "  # noqa: RUF001
        f"By arithmetic: {formula} = {expected:,} bytes, {agrees}."
    )


def _what_decode_reads(run: TimedRun) -> str:
    model, last = run.model, run.steps[-1]
    weights = size_text(model.weight_flops(1) // 2 * model.info.bytes_per_number)
    kept = size_text(last.cache_bytes)
    added = size_text(sizes_of(run.cache, model.info).n_bytes(1))
    return (
        f"**What one decode step reads**: all kept keys and values, **{kept}**, and every weight "
        f"of a matrix product, **{weights}**. Then it adds {added} to the cache. The longer the "
        "text, the more is read of the cache; the weights stay the same."
    )
