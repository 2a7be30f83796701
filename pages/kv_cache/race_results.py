"""What did a race measure, and did the cache pay?"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.experiments.race import Race
from model_hooks.opening.names import short_name
from model_hooks.read.recorded import info_of
from pages.ask.computed import computed
from pages.ask.threads import N_THREADS
from pages.kv_cache import same_tokens
from pages.kv_cache.measured import Result
from pages.kv_cache.tables import facts_table, steps_of
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from viz.kv_cache import race_curves, ratio_curve
from viz.numbers import counted, operations, plural, size_text, three_digits

BOOK = (
    "For comparison: Alammar and Grootendorst (*Hands-On Large Language Models*, O'Reilly 2024, "
    "notebook of chapter 3) report 6.66 s with and 21.9 s without the cache for 100 tokens of "
    "Phi-3-mini on a GPU, 3.3 times as long."
)
HARDLY = 1.2
"""Below this ratio the cache hardly pays."""
NO_MORE_WORK = 1.01
"""Below this ratio of operations both runs did the same."""
_RATIO_CSS = """
.ratio { display: flex; flex-direction: column; align-items: center; text-align: center; }
.ratio b { font-size: 5rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.ratio b small { font-size: 3rem; }
.ratio .spread { opacity: 0.75; font-size: 0.9rem; }
"""

_info_of = computed(info_of)


def draw(result: Result) -> None:
    """Draw what a race measured."""
    race, settings = result.race, result.settings
    info: ModelInfo = _info_of(settings.model_name)
    if not result.is_whole:
        st.info(_stopped(result), icon=":material/stop_circle:")
    ratio, facts = st.columns([1, 2.2], gap="large", vertical_alignment="center")
    with ratio:
        st.html(_big_ratio(race))
    with facts:
        st.html(facts_of(race))
    _draw_verdict(result)
    _draw_curves(race)
    same_tokens.draw(race.rounds[0], settings.model_name, info, len(race.rounds))
    numbers_from(
        None,
        (len(race.complete), race.n_steps),
        f"measured on this machine: {escape_markdown(short_name(info.name))}, prompt of "
        f"{counted(len(settings.prompt_ids), 'token')}, {info.dtype} on {info.device}, "
        f"{counted(N_THREADS, 'thread')}; rounds and steps",
    )
    csv_button(lambda: table_of(race), "kv_cache_race")
    st.caption(BOOK)


def table_of(race: Race) -> pd.DataFrame:
    """Return every step of every round, one per line."""
    return pd.concat([steps_of(pair).assign(round=i) for i, pair in enumerate(race.rounds, 1)])


def _stopped(result: Result) -> str:
    race, n_rounds = result.race, len(result.race.complete)
    return (
        f"Stopped in round {len(race.rounds)} of {result.settings.n_rounds}: shown is what was "
        f"measured by then, {counted(race.n_steps, 'token')} in {n_rounds} complete "
        f"{plural(n_rounds, 'round')}."
    )


def _big_ratio(race: Race) -> str:
    ratios = race.ratios
    spread = f"{three_digits(ratios.min())} to {three_digits(ratios.max())} in {len(ratios)} rounds"
    return (
        f"<style>{_RATIO_CSS}</style><div class='ratio' role='img' aria-label='"
        f"{three_digits(np.median(ratios))} times as long without the cache'>"
        f"<b>{three_digits(np.median(ratios))}<small>×</small></b>"  # noqa: RUF001
        "<span>as long without the cache</span>"
        f"<span class='spread'>{spread if len(ratios) > 1 else 'one round: no spread'}</span></div>"
    )


def facts_of(race: Race) -> str:
    """Return an HTML table of what both runs took."""
    first, runs = race.rounds[0], {True: race.rounds[0].on, False: race.rounds[0].off}
    seconds = {use_cache: race.seconds(use_cache) for use_cache in runs}

    def row(name: str, text_of: Callable[[bool], str]) -> tuple[str, str, str]:
        return name, text_of(True), text_of(False)

    n_prompt, n_tokens = len(first.on.prompt_ids), counted(race.n_steps, "token")
    rows = [
        row(
            f"Prefill: the first token, {counted(n_prompt, 'position')}",
            lambda on: spread(seconds[on][:, 0]),
        ),
        row("Decode: each later token", lambda on: spread(seconds[on][:, 1:].mean(1)))
        if race.n_steps > 1
        else None,
        row(f"All {n_tokens}", lambda on: spread(seconds[on].sum(1))),
        row(
            "Positions computed in all",
            lambda on: f"{sum(step.rows_computed for step in runs[on].steps):,}",
        ),
        row("Work in all", lambda on: operations(sum(step.flops for step in runs[on].steps))),
        row(
            "Bytes held at the end",
            lambda on: size_text(runs[on].steps[-1].cache_bytes) if on else "none",
        ),
    ]
    n_rounds = len(race.complete)
    told = f"Median of {n_rounds} rounds (least to greatest)" if n_rounds > 1 else "One round"
    head = [told, "Cache on", "Cache off"]
    return facts_table(head, [cells for cells in rows if cells is not None])


def spread(seconds: Float[np.ndarray, "round"]) -> str:
    """Write the median of some times, and between which they lie."""
    unit, name = (1.0, "s") if np.median(seconds) >= 1 else (1e-3, "ms")
    low, middle, high = (float(of(seconds)) / unit for of in (np.min, np.median, np.max))
    if len(seconds) == 1:
        return f"{three_digits(middle)} {name}"
    return f"{three_digits(middle)} {name} ({three_digits(low)} to {three_digits(high)})"


def _draw_verdict(result: Result) -> None:
    """Say honestly whether the cache paid."""
    race, first = result.race, result.race.rounds[0]
    ratio = float(np.median(race.ratios))
    work = sum(s.flops for s in first.off.steps) / sum(s.flops for s in first.on.steps)
    if work < NO_MORE_WORK:
        st.info(
            "Both runs did the same work: this model keeps nothing that it could go on from, or "
            "only one token was written.",
            icon=":material/balance:",
        )
    elif ratio >= HARDLY:
        st.markdown(
            f"Without the cache, the same {counted(race.n_steps, 'token')} took "
            f"**{three_digits(ratio)} "
            f"times** as long and {three_digits(work)} times the work. The longer the text, the "
            "larger both "
            "become."
        )
    else:
        larger = " Take a longer prompt, more tokens, or the larger model to see it."
        st.info(
            f"Here the cache hardly pays: {three_digits(work)} times the work took only "
            f"{three_digits(ratio)} times as "
            "long. With so small a model or so short a text, starting each operation takes longer "
            "than the operation itself, and both runs start equally many."
            + larger
            * (not result.settings.untrained),
            icon=":material/balance:",
        )


def _draw_curves(race: Race) -> None:
    on, off = race.seconds(True), race.seconds(False)
    curves, against_length = st.columns([1.25, 1], gap="medium")
    with curves:
        chart(
            drawing(race_curves, on, off),
            key="kv_cache.curves",
            alt=f"Time per token and in all, {race.n_steps} tokens, cache on and off",
        )
    with against_length:
        chart(
            drawing(ratio_curve, on, off),
            key="kv_cache.ratio",
            alt=f"Ratio of the times against length: {three_digits(np.median(race.ratios))} after "
            f"{counted(race.n_steps, 'token')}",
        )
