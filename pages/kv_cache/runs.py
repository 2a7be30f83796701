"""What the KV cache page runs in this browser session: single steps, and races of many tokens."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from model_hooks import Decoding, HookedModel, InlookError
from model_hooks.experiments import timing
from model_hooks.experiments.timing import Race, SideBySide
from model_hooks.experiments.untrained import GPT2_CONTEXT, untrained_gpt2
from pages.ask.session import current_model, current_token_ids

OPENING_STEPS = 6
"""Steps that the page takes by itself, so that there is something to see."""
OPENING_WORK = 3e10
"""Operations up to which it does: about a second."""
UPDATE_S = 0.1

_PAIR = "kv_cache.pair"
_MOVE = "kv_cache.move"
_PROBLEM = "kv_cache.problem"
_RACE = "kv_cache.result"
_ASKED = "kv_cache.asked"


@dataclass(frozen=True)
class RaceSettings:
    """What a race is about."""

    untrained: bool
    """Whether it runs the model of random weights instead of the loaded one."""
    prompt_ids: tuple[int, ...]
    n_tokens: int
    n_rounds: int
    decoding: Decoding

    def problem(self) -> str | None:
        """Return why this cannot be run, in one sentence; None if it can."""
        size = GPT2_CONTEXT if self.untrained else current_model().info.context_size
        try:
            timing.check_room(size, len(self.prompt_ids), self.n_tokens)
        except InlookError as error:
            return str(error)
        return None


@dataclass(frozen=True, eq=False)
class Result:
    """What a race measured so far."""

    settings: RaceSettings
    model_name: str
    race: Race

    @property
    def is_whole(self) -> bool:
        """Whether nobody stopped it."""
        rounds = self.race.rounds
        return len(rounds) == self.settings.n_rounds and len(rounds[-1]) == self.settings.n_tokens


@st.cache_resource(max_entries=1, show_spinner="Building a model of GPT-2's size…")
def untrained_model() -> HookedModel:
    """Build the model of random weights, once for all visitors."""
    return untrained_gpt2()


def current_pair(decoding: Decoding) -> SideBySide:
    """Return the two runs of this session, after the steps that were asked for.

    Another model, prompt or decoding starts anew.

    Raises:
        InlookError: The prompt cannot be run.
    """
    model, prompt_ids = current_model(), current_token_ids()
    pair: SideBySide | None = st.session_state.get(_PAIR)
    move = st.session_state.pop(_MOVE, None)
    if (
        pair is None
        or move == "restart"
        or (pair.on.model, pair.on.prompt_ids, pair.on.decoding) != (model, prompt_ids, decoding)
    ):
        pair = timing.start(model, prompt_ids, decoding)
        move = 1 if move == "restart" else _opening_steps(pair)
        for _ in range(min(move, 2)):
            pair.step()  # the first runs of a model are slower than it will ever be again
    try:
        for _ in range(move or 0):
            pair = pair.step(off_first=len(pair) % 2 == 1)
    except InlookError as error:
        st.session_state[_PROBLEM] = str(error)
    st.session_state[_PAIR] = pair
    return pair


def ask_for_step() -> None:
    """Have both runs take a step, in the next run of the page."""
    st.session_state[_MOVE] = 1
    st.session_state.pop("kv_cache.step", None)


def ask_to_restart() -> None:
    """Have both runs begin anew."""
    st.session_state[_MOVE] = "restart"
    st.session_state.pop("kv_cache.step", None)


def problem() -> str | None:
    """Return why the last step was impossible, once."""
    return st.session_state.pop(_PROBLEM, None)


def ask_for_race(settings: RaceSettings) -> None:
    """Have the next run of the page start a race."""
    st.session_state[_ASKED] = settings


def asked_race() -> RaceSettings | None:
    """Return the race that was asked for, once: whatever the user does next stops it."""
    return st.session_state.pop(_ASKED, None)


def result() -> Result | None:
    """Return what the last race measured."""
    return st.session_state.get(_RACE)


def run_race(settings: RaceSettings) -> Iterator[tuple[float, str]]:
    """Race, yielding how much is done (0 to 1) and a sentence about it.

    What is measured is kept after each token, and each token is a run of its own: a click ends the
    script between two of them, and other visitors' runs get their turn.

    Raises:
        InlookError: The race cannot be run.
    """
    model = untrained_model() if settings.untrained else current_model()
    st.session_state.pop(_RACE, None)
    n_prompt, n_tokens = len(settings.prompt_ids), settings.n_tokens
    per_round = sum(n_prompt + i for i in range(n_tokens))
    started, shown = time.monotonic(), 0.0
    races = timing.race(model, settings.prompt_ids, settings.decoding, n_tokens, settings.n_rounds)
    for race in races:
        st.session_state[_RACE] = Result(settings, model.info.name, race)
        time.sleep(0)  # lets another visitor's thread run
        now = time.monotonic()
        if now - shown < UPDATE_S:
            continue
        shown, newest = now, race.rounds[-1]
        work = sum(n_prompt + i for i in range(len(newest)))
        done = (len(race.rounds) - 1 + work / per_round) / settings.n_rounds
        left = (now - started) * (1 - done) / done
        yield (
            done,
            f"Round {len(race.rounds)} of {settings.n_rounds}, token {len(newest)} of {n_tokens}: "
            f"{newest.on.steps[-1].seconds * 1e3:,.1f} ms with the cache, "
            f"{newest.off.steps[-1].seconds * 1e3:,.1f} ms without. About {left:,.0f} s left.",
        )


def _opening_steps(pair: SideBySide) -> int:
    """Return how many steps to take unasked: none where they would take long."""
    info, n_prompt = pair.on.model.info, len(pair.on.prompt_ids)
    most = timing.room(info.context_size, n_prompt)
    n_steps = OPENING_STEPS if most is None else min(OPENING_STEPS, most)
    rows = sum(n_prompt + i for i in range(n_steps))
    return n_steps if 2 * info.n_parameters * rows < OPENING_WORK else 0
