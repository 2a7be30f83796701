"""What the KV cache page draws of a race: many tokens with the cache on and off."""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import Decoding, ModelInfo
from model_hooks.experiments.timing import Race
from model_hooks.experiments.untrained import GPT2_VOCABULARY
from pages.ask.session import N_THREADS, current_token_ids
from pages.kv_cache.runs import RaceSettings, Result
from pages.kv_cache.views import facts_table, proof, steps_frame
from pages.widgets.chart import chart
from pages.widgets.controls import show_value
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, operations, size_text
from viz.kv_cache import race_curves, ratio_curve, three_digits

RACE_HELP = (
    "Both runs write the same tokens and take turns, token by token; who goes first alternates. "
    "A few untimed tokens warm up first. Nothing is recorded meanwhile. Times depend on this "
    "machine, and on who else is using it: the spread over the rounds shows how much."
)
BOOK = (
    "For comparison: Alammar and Grootendorst (*Hands-On Large Language Models*, O'Reilly 2024, "
    "notebook of chapter 3) report 6.66 s with and 21.9 s without the cache for 100 tokens of "
    "Phi-3-mini on a GPU, 3.3 times as long."
)
MOST_TOKENS = 1_000_000
PROMPT = "kv_cache.prompt_ids"
HARDLY = 1.2


def race_settings(info: ModelInfo, decoding: Decoding) -> RaceSettings:
    """Let the user choose what to race."""
    prompt_ids = current_token_ids()
    n_prompt = st.session_state.get("kv_cache.n_prompt", len(prompt_ids))
    if st.session_state.get(PROMPT) != prompt_ids:
        st.session_state[PROMPT] = prompt_ids
        n_prompt = len(prompt_ids)
    show_value("kv_cache.n_prompt", n_prompt)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        untrained = st.segmented_control(
            "Model", [False, True], default=False, required=True, key="kv_cache.untrained",
            format_func=lambda u: "GPT-2 size, untrained" if u else info.name,
            help="The second has random weights: it writes nonsense and is here **for timing "
            "only** (124 million parameters, 0.5 GB of memory, built when you first run it).",
            persist_state="session",
        )  # fmt: skip
        n_prompt = st.number_input(
            "Prompt tokens", 1, MOST_TOKENS, key="kv_cache.n_prompt", persist_state="session",
            width=130, help="More than your prompt has: it is repeated. Fewer: it is cut.",
        )  # fmt: skip
        n_tokens = st.number_input(
            "Tokens to write", 1, MOST_TOKENS, 40, key="kv_cache.n_tokens", width=130,
            persist_state="session",
        )  # fmt: skip
        n_rounds = st.number_input(
            "Rounds", 1, 20, 3, key="kv_cache.n_rounds", width=110, persist_state="session",
            help="How often everything is repeated. The spread is over the rounds.",
        )  # fmt: skip
    ids = (
        np.arange(n_prompt) * 7919 % GPT2_VOCABULARY
        if untrained
        else np.resize(prompt_ids, n_prompt)
    )
    return RaceSettings(
        untrained, tuple(ids.tolist()), n_tokens, n_rounds, Decoding() if untrained else decoding
    )


def race_results(result: Result) -> None:
    """Draw what a race measured."""
    race, settings = result.race, result.settings
    rounds, first = race.complete, race.rounds[0]
    on, off = race.seconds(True), race.seconds(False)
    if not result.is_whole:
        st.info(
            f"Stopped in round {len(race.rounds)} of {settings.n_rounds}: shown is what was "
            f"measured by then, {race.n_steps} tokens in {len(rounds)} complete "
            f"{'round' if len(rounds) == 1 else 'rounds'}.",
            icon=":material/stop_circle:",
        )
    ratio, facts = st.columns([1, 2.2], gap="large", vertical_alignment="center")
    with ratio:
        _big_ratio(race)
    with facts:
        st.html(_race_table(race))
    _verdict(result)
    curves, against_length = st.columns([1.25, 1], gap="medium")
    with curves:
        chart(
            race_curves(on, off),
            key="kv_cache.curves",
            alt=f"Time per token and in all, {race.n_steps} tokens, cache on and off",
        )
    with against_length:
        chart(
            ratio_curve(on, off),
            key="kv_cache.ratio",
            alt=f"Ratio of the times against length: {np.median(race.ratios):.2f} after "
            f"{race.n_steps} tokens",
        )
    proof(first, len(race.rounds))
    info = first.on.model.info
    numbers_from(
        None,
        (len(rounds), race.n_steps),
        f"measured on this machine: {escape_markdown(result.model_name)}, prompt of "
        f"{len(settings.prompt_ids):,} tokens, {info.dtype} on {info.device}, {N_THREADS} "
        f"{'thread' if N_THREADS == 1 else 'threads'}; rounds and steps",
    )
    csv_button(lambda: race_frame(race), "kv_cache_race")
    st.caption(BOOK)


def race_frame(race: Race) -> pd.DataFrame:
    """Return every step of every round as a table."""
    return pd.concat([steps_frame(pair).assign(round=i) for i, pair in enumerate(race.rounds, 1)])


def _big_ratio(race: Race) -> None:
    ratios = race.ratios
    spread = f"{ratios.min():.2f} to {ratios.max():.2f} in {len(ratios)} rounds"
    st.html(
        f"<style>{_RATIO_CSS}</style><div class='ratio' role='img' aria-label='"
        f"{np.median(ratios):.1f} times as long without the cache'>"
        f"<b>{np.median(ratios):.1f}<small>×</small></b>"  # noqa: RUF001
        "<span>as long without the cache</span>"
        f"<span class='spread'>{spread if len(ratios) > 1 else 'one round: no spread'}</span></div>"
    )


def _race_table(race: Race) -> str:
    first = race.rounds[0]
    runs = {True: first.on, False: first.off}
    seconds = {use_cache: race.seconds(use_cache) for use_cache in runs}

    def both(text_of) -> tuple[str, str]:
        return text_of(True), text_of(False)

    n_prompt = len(first.on.prompt_ids)
    rows = [
        (f"Prefill: the first token, {n_prompt:,} positions",
         *both(lambda on: _spread(seconds[on][:, 0]))),
    ]  # fmt: skip
    if race.n_steps > 1:
        rows.append(
            ("Decode: each later token", *both(lambda on: _spread(seconds[on][:, 1:].mean(1))))
        )
    rows += [
        (f"All {race.n_steps:,} tokens", *both(lambda on: _spread(seconds[on].sum(1)))),
        ("Positions computed in all",
         *both(lambda on: f"{sum(step.rows_computed for step in runs[on].steps):,}")),
        ("Work in all",
         *both(lambda on: operations(sum(step.flops for step in runs[on].steps)))),
        ("Bytes held at the end",
         *both(lambda on: size_text(runs[on].steps[-1].cache_bytes) if on else "none")),
    ]  # fmt: skip
    return facts_table(["Median (least to greatest)", "Cache on", "Cache off"], rows)


def _spread(seconds: np.ndarray) -> str:
    unit, name = (1.0, "s") if np.median(seconds) >= 1 else (1e-3, "ms")
    low, middle, high = (f(seconds) / unit for f in (np.min, np.median, np.max))
    if len(seconds) == 1:
        return f"{three_digits(middle)} {name}"
    return f"{three_digits(middle)} {name} ({three_digits(low)} to {three_digits(high)})"


def _verdict(result: Result) -> None:
    """Say honestly whether the cache paid."""
    race, settings = result.race, result.settings
    ratio = float(np.median(race.ratios))
    first = race.rounds[0]
    work = sum(s.flops for s in first.off.steps) / sum(s.flops for s in first.on.steps)
    if work < 1.01:
        st.info(
            "Both runs did the same work: this model keeps nothing that it could go on from, or "
            "only one token was written.",
            icon=":material/balance:",
        )
        return
    if ratio >= HARDLY:
        st.markdown(
            f"Without the cache, the same {race.n_steps:,} tokens took **{ratio:.1f} times** as "
            f"long and {work:.1f} times the work. The longer the text, the larger both become."
        )
        return
    larger = (
        ""
        if settings.untrained
        else " Take a longer prompt, more tokens, or the larger model to see it."
    )
    st.info(
        f"Here the cache hardly pays: {work:.1f} times the work took only {ratio:.2f} times as "
        "long. With so small a model or so short a text, starting each operation takes longer "
        f"than the operation itself, and both runs start equally many.{larger}",
        icon=":material/balance:",
    )


_RATIO_CSS = """
.ratio { display: flex; flex-direction: column; align-items: center; text-align: center; }
.ratio b { font-size: 5rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.ratio b small { font-size: 3rem; }
.ratio .spread { opacity: 0.75; font-size: 0.9rem; }
"""
