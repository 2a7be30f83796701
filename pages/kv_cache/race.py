"""How long does each take for many tokens? A race with the cache on and off, that can be stopped.

What is measured is kept after each token. The race runs last of all on the page, so that everything
is drawn and works meanwhile: whatever the visitor does next ends it.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks import Decoding, InlookError, ModelInfo
from model_hooks.experiments.race import Race, SideBySide, race
from model_hooks.experiments.untrained import GPT2_CONTEXT, GPT2_VOCABULARY, UNTRAINED_GPT2
from model_hooks.host import Run
from model_hooks.opening.names import short_name
from model_hooks.write.room import check_room
from pages.ask.computed import streamed
from pages.kv_cache import race_results
from pages.kv_cache.choices import Choices
from pages.kv_cache.measured import Result, Settings
from pages.server.settings import settings as allowed
from pages.state.kept import Kept
from pages.state.mailbox import Message
from pages.state.visit import part, view
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.shortcut import shortcut
from viz.numbers import three_digits

HELP = (
    "Both runs write the same tokens and take turns, token by token; who goes first alternates. "
    "A few untimed tokens warm up first. Nothing is recorded meanwhile. Times depend on this "
    "machine, and on who else is using it: the spread over the rounds shows how much."
)
MOST_TOKENS = 1_000_000
STRIDE = 7919
"""A prime: the untrained model's prompt walks through its vocabulary by it."""
UPDATE_S = 0.1

_race = streamed(race)


ASKED = Message[bool]("kv_cache.race")
RESULT = Kept[Result]("kv_cache.result")


class Ready(NamedTuple):
    """What a race would be about, and where it would say how far it is."""

    settings: Settings
    place: DeltaGenerator


def draw(asked: Run, info: ModelInfo) -> Ready | None:
    """Draw the tab: what to race, and what the last race measured.

    Returns:
        What to pass to `run_asked`; None if it cannot be run.
    """
    st.markdown("Let both write the same tokens, and take the time of each.", help=HELP)
    settings = _pick_settings(asked, info)
    problem = problem_of(settings, info)
    _draw_buttons(may_run=problem is None)
    if problem:
        st.warning(problem, icon=":material/straighten:")
    if view().interventions and not settings.untrained:
        st.caption(
            "With parts switched off, every run is recorded, which takes time of its own: compare "
            "these times with each other alone."
        )
    place = st.container()
    if not ASKED.waits and (result := RESULT.get()) is not None:
        with place:
            race_results.draw(result)
    return None if problem else Ready(settings, place)


def _draw_buttons(*, may_run: bool) -> None:
    """Draw what starts and stops a race.

    Both can be pressed while one runs: should the browser be left with the page as it is then, as
    by Streamlit's own Stop, they still work. A race that was asked for and has not begun yet is not
    run when *Stop* is pressed.
    """
    with st.container(horizontal=True):
        st.button(
            "Run both",
            key="kv_cache.run",
            icon=":material/timer:",
            type="primary",
            shortcut=shortcut("T"),
            disabled=not may_run,
            help="Start the race (key T).",
            on_click=ASKED.leave,
            args=(True,),
        )
        st.button(
            "Stop",
            key="kv_cache.stop",
            icon=":material/stop:",
            shortcut=shortcut("X"),
            disabled=not ASKED.waits,
            help="What is measured so far stays (key X).",
            on_click=ASKED.take,
        )


def _pick_settings(asked: Run, info: ModelInfo) -> Settings:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        bind(
            st.segmented_control,
            "Model",
            "kv_cache.untrained",
            options=[False, True],
            format_func=lambda untrained: (
                UNTRAINED_GPT2 if untrained else escape_markdown(short_name(info.name))
            ),
            required=True,
            help="The second has random weights: it writes nonsense and is here **for timing "
            "only** (124 million parameters, 0.5 GB of memory, built when you first run it).",
        )
        n_prompt = bind(
            st.number_input,
            "Prompt tokens",
            "kv_cache.n_prompt",
            min_value=1,
            max_value=allowed().at_most("prompt_tokens", MOST_TOKENS),
            when_none=len(asked.token_ids),
            width=130,
            help="More than your prompt has: it is repeated. Fewer: it is cut.",
        )
        most = allowed().at_most("new_tokens", MOST_TOKENS)
        _pick_number("Tokens to write", "kv_cache.n_tokens", most, 130)
        _pick_number(
            "Rounds",
            "kv_cache.n_rounds",
            20,
            110,
            help="How often everything is repeated. The spread is over the rounds.",
        )
    return _settings(asked, n_prompt)


def _pick_number(label: str, field: str, most: int, width: int, help: str | None = None) -> None:
    bind(st.number_input, label, field, min_value=1, max_value=most, width=width, help=help)


def _settings(asked: Run, n_prompt: int) -> Settings:
    chosen = part(Choices)
    counts = chosen.n_tokens, chosen.n_rounds
    if chosen.untrained:
        prompt_ids = tuple((np.arange(n_prompt) * STRIDE % GPT2_VOCABULARY).tolist())
        return Settings(UNTRAINED_GPT2, prompt_ids, *counts, Decoding())
    prompt_ids = tuple(np.resize(asked.token_ids, n_prompt).tolist())
    return Settings(asked.model_name, prompt_ids, *counts, view().decoding, asked.interventions)


def problem_of(settings: Settings, info: ModelInfo) -> str | None:
    """Return why a race cannot be run, in one sentence; None if it can."""
    size = GPT2_CONTEXT if settings.untrained else info.context_size
    try:
        check_room(size, len(settings.prompt_ids), settings.n_tokens)
    except InlookError as error:
        return str(error)
    return None


def run_asked(ready: Ready | None) -> None:
    """Run the race that was asked for, if one was; then the page is drawn anew.

    Args:
        ready: What the tab returned; None where the reader has turned to another one.
    """
    if not ASKED.take() or ready is None:
        return
    settings, place = ready
    progress = place.progress(0.0, "Warming up…")
    try:
        for done, sentence in _measured(settings):
            progress.progress(done, sentence)
    except InlookError as error:
        progress.empty()
        place.error(escape_markdown(str(error)), icon=":material/error:")
        return
    st.rerun()


def _measured(settings: Settings) -> Iterator[tuple[float, str]]:
    """Race, keep what is measured, and yield how much is done (0 to 1) and a sentence about it.

    Each token is a run of its own: a click ends the script between two of them, and other visitors'
    runs get their turn.

    Raises:
        InlookError: The race cannot be run.
    """
    RESULT.drop()
    started, shown = time.monotonic(), 0.0
    for found in _race(
        settings.model_name,
        settings.prompt_ids,
        settings.decoding,
        settings.n_tokens,
        settings.n_rounds,
        settings.interventions,
    ):
        RESULT.put(Result(settings, found))
        time.sleep(0)  # lets another visitor's thread run
        now = time.monotonic()
        if now - shown >= UPDATE_S:
            shown, done = now, share_done(settings, found)
            left = (now - started) * (1 - done) / done
            yield done, f"{_newest(settings, found)} About {left:,.0f} s left."


def share_done(settings: Settings, found: Race) -> float:
    """Return how much of a race is done, from 0 to 1, by the positions run without the cache."""
    newest = found.rounds[-1]
    rounds = (
        len(found.rounds) - 1 + _rows(settings, len(newest)) / _rows(settings, settings.n_tokens)
    )
    return rounds / settings.n_rounds


def _rows(settings: Settings, n_tokens: int) -> int:
    return n_tokens * len(settings.prompt_ids) + n_tokens * (n_tokens - 1) // 2


def _newest(settings: Settings, found: Race) -> str:
    newest: SideBySide = found.rounds[-1]
    on, off = (1e3 * run.steps[-1].seconds for run in (newest.on, newest.off))
    return (
        f"Round {len(found.rounds)} of {settings.n_rounds}, token {len(newest)} of "
        f"{settings.n_tokens}: {three_digits(on)} ms with the cache, {three_digits(off)} ms "
        "without."
    )
