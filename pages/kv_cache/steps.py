"""What does each step compute, and what does it read from the cache? Both runs side by side."""

from typing import Any

import streamlit as st

from model_hooks import ModelInfo
from model_hooks.experiments.race import SideBySide, TimedRun, TimedStep
from model_hooks.opening.names import short_name
from model_hooks.read.cached import CacheKind
from model_hooks.read.recorded import tokens_of
from pages.ask.computed import computed
from pages.kv_cache import same_tokens
from pages.kv_cache.choices import Choices
from pages.kv_cache.tables import facts_table, steps_of
from pages.state.visit import part, put
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz.kv_cache import step_grid
from viz.numbers import counted, operations, plural, size_text, three_digits

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
MOST_TOLD = 40
"""Steps of which a screen reader is told."""

_tokens_of = computed(tokens_of)


def draw(pair: SideBySide, model_name: str, info: ModelInfo, kind: CacheKind | None) -> None:
    """Draw the text, what each step ran, and the facts of one step."""
    step = chosen_step(len(pair))
    tokens = _tokens_of(model_name, pair.on.token_ids)
    st.container(key="answer").markdown(answer(pair, step))
    if kind is None:
        st.warning(escape_markdown(no_cache(info)), icon=":material/info:")
    elif sentence := kind_note(kind, info):
        st.info(sentence, icon=":material/info:")
    _draw_grids(pair, model_name, step)
    if len(pair) > 1:
        bind(
            st.slider,
            "Step to look at",
            "kv_cache.step",
            min_value=1,
            max_value=len(pair),
            when_none=len(pair),
        )
    _draw_text(tokens, len(pair.on.prompt_ids), len(pair), step)
    _draw_facts(pair, step, visible(tokens[len(pair.on.prompt_ids) + step]), kind, info)
    same_tokens.draw(pair, model_name, info)


def answer(pair: SideBySide, step: int) -> str:
    """Say in one sentence what the cache saves in a step (Markdown)."""
    on, off = pair.on.steps[step], pair.off.steps[step]
    if on.rows_computed == off.rows_computed:
        return (
            f"In step {step + 1}, both ways run **{counted(on.rows_computed, 'token')}** through "
            "the model: nothing was kept yet that could be used."
        )
    return (
        f"In step {step + 1}, **{counted(on.rows_computed, 'token')}** "
        f"{plural(on.rows_computed, 'runs', 'run')} through the model with the cache, and "
        f"**{off.rows_computed:,}** without it: {operations(on.flops)} instead of "
        f"{operations(off.flops)}."
    )


def chosen_step(n_steps: int) -> int:
    """Return the step that is looked at, from 0: the newest unless another was chosen."""
    chosen = part(Choices).step
    return n_steps - 1 if chosen is None else min(max(chosen, 1), n_steps) - 1


def look_at(step: int) -> None:
    """Look at a step, from 1."""
    changes: dict[str, Any] = {"kv_cache.step": step}
    put(changes)


def no_cache(info: ModelInfo) -> str:
    """Say that a model cannot keep keys and values to go on from."""
    return (
        f"{short_name(info.name)} ({info.family}) keeps no keys and values that it can go on from, "
        "so its cache cannot be switched on: both runs compute everything in every step."
    )


def kind_note(kind: CacheKind, info: ModelInfo) -> str | None:
    """Return one sentence if a cache holds something else than keys and values per position."""
    if states := kind.layers_with_state:
        return (
            f"In {len(states)} of {info.n_layers} layers, this model keeps a state of fixed size "
            "that sums up the whole text (a recurrent layer) instead of keys and values per "
            "position: that part of its cache never grows."
        )
    layers = kind.sizes.layers if kind.sizes else ()
    if windows := [layer.window for layer in layers if layer.window]:
        return (
            f"{len(windows)} of {info.n_layers} layers look back at most {max(windows):,} "
            "positions (a sliding window), so their part of the cache stops growing there."
        )
    return None


def _draw_text(tokens: tuple[str, ...], n_prompt: int, n_steps: int, step: int) -> None:
    """Show the text; a click on a written token picks its step."""
    token_strip(
        tokens,
        key="kv_cache.tokens",
        selected=n_prompt + step,
        on_pick=lambda pos: look_at(max(1, pos - n_prompt + 1)),
        marks={n_prompt + i: str(i + 1) for i in range(n_steps)},
        height=130,
        label="The text: prompt, then generated tokens with their step",
    )


def _draw_grids(pair: SideBySide, model_name: str, step: int) -> None:
    on, off = st.columns(2, gap="medium")
    with on:
        _draw_grid(pair.on, model_name, step, "on")
    with off:
        _draw_grid(pair.off, model_name, step, "off")


def _draw_grid(run: TimedRun, model_name: str, step: int, name: str) -> None:
    title = f"KV cache {name}"
    heading(title, help=GRID_HELP)
    n_computed = [done.rows_computed for done in run.steps]
    chart(
        drawing(
            step_grid,
            [visible(token) for token in _tokens_of(model_name, run.token_ids)],
            [done.pos for done in run.steps],
            n_computed,
            [done.rows_read for done in run.steps],
            selected=step,
        ),
        key=f"kv_cache_grid_{name}",
        on_cell=lambda cell: look_at(cell[0] + 1),
        alt=f"{title}: positions computed per step: "
        + ", ".join(str(n) for n in n_computed[:MOST_TOLD]),
    )


def _draw_facts(
    pair: SideBySide, step: int, token: str, kind: CacheKind | None, info: ModelInfo
) -> None:
    """Compare what one step took in both runs."""
    on, off = pair.on.steps[step], pair.off.steps[step]
    varies = kind is not None and kind_note(kind, info) is not None
    rows = [
        ("Phase", _phase(on, step), _phase(off, step)),
        ("Positions computed", f"{on.rows_computed:,}", f"{off.rows_computed:,}"),
        ("Positions read from the cache", _read(on, varies), _read(off, varies)),
        ("Work", operations(on.flops), operations(off.flops)),
        (
            "Time (this one run)",
            f"{three_digits(on.seconds * 1e3)} ms",
            f"{three_digits(off.seconds * 1e3)} ms",
        ),
        ("Bytes held afterwards", size_text(on.cache_bytes) if on.cache_bytes else "none", "none"),
    ]
    st.markdown(
        f"**Step {step + 1}** writes **{escape_markdown(token)}** at position {on.pos}.",
        help=f"{PHASES_HELP}\n\n{FLOP_HELP}",
    )
    st.html(facts_table(["", "Cache on", "Cache off"], rows))
    csv_button(lambda: steps_of(pair), "kv_cache_steps")


def _phase(done: TimedStep, step: int) -> str:
    if not done.prefill:
        return "decode"
    return "prefill" if step == 0 else "everything again"


def _read(done: TimedStep, varies: bool) -> str:
    """Say how many positions a step read; the most of any layer, where layers differ."""
    if not done.rows_read:
        return "none"
    return f"up to {done.rows_read:,}" if varies else f"{done.rows_read:,} in each layer"
