"""Which steps have both runs of this visitor taken? As many as the view says.

The view says how many; the session keeps what they took, for a step taken again takes another time.
The steps that the page opens with are measured once for all who open it on the same text.
"""

from contextlib import nullcontext
from itertools import count, takewhile
from typing import Any, NamedTuple

import streamlit as st

from model_hooks import InlookError, ModelInfo
from model_hooks.experiments.race import SideBySide, first_steps, step_both
from model_hooks.host import Run
from model_hooks.write.room import room
from pages.ask.computed import computed
from pages.kv_cache.choices import Choices
from pages.state.kept import Kept
from pages.state.visit import part, put, view

OPENING_STEPS = 6
"""Steps that the page takes by itself, so that there is something to see."""
OPENING_WORK = 3e10
"""Operations up to which it does: about a second."""
AGAIN_WORK = 3e11
"""Operations up to which it takes the steps of a link again."""
STEP_WORK = 3e8
"""What a step takes in any case, in operations of the same time."""
NEWEST: dict[str, Any] = {"kv_cache.step": None}
"""Looks at the newest step."""

_first_steps = computed(first_steps)
_step_both = computed(step_both, keep=False)


class Taken(NamedTuple):
    """Two runs, and the model that they are of."""

    model_name: str
    pair: SideBySide

    def is_of(self, asked: Run) -> bool:
        """Tell whether these are the runs that the visitor looks at."""
        on = self.pair.on
        same_run = Run(self.model_name, on.prompt_ids, on.interventions) == asked
        return same_run and on.decoding == view().decoding


_TAKEN = Kept[Taken]("kv_cache.taken")


def steps_taken(asked: Run, info: ModelInfo) -> tuple[SideBySide, str | None]:
    """Return both runs after the steps that the view asks for, and why there are no more.

    Another model, prompt, decoding or intervention starts anew. Where the view asks for steps that
    cannot be taken, it takes back what it asked.

    Raises:
        InlookError: The prompt cannot be run.
    """
    wanted, taken = _wanted(), _TAKEN.get()
    if taken is None or not taken.is_of(asked):
        n_steps = steps_unasked(asked, info, wanted)
        taken = _begun(asked, min(n_steps, OPENING_STEPS))
    else:
        n_steps = steps_unasked(asked, info, None) if wanted is None else wanted
    pair, problem = _gone_on(taken, n_steps)
    if wanted not in (None, len(pair)):
        _ask_for(len(pair) or None)
    return pair, problem


def take_step(asked: Run, info: ModelInfo) -> None:
    """Have both runs take one more step than the view asks for, and look at it."""
    n_steps = _wanted()
    if n_steps is None:
        n_steps = steps_unasked(asked, info, None)
    _ask_for(n_steps + 1, **NEWEST)


def restart() -> None:
    """Have both runs begin anew with one step."""
    if (taken := _TAKEN.get()) is not None:
        _TAKEN.put(taken._replace(pair=taken.pair.first(0)))
    _ask_for(1, **NEWEST)


def steps_unasked(asked: Run, info: ModelInfo, n_steps: int | None) -> int:
    """Return how many steps to take though nobody pressed a button: none that take long.

    Args:
        asked: The prompt.
        info: The model's sizes.
        n_steps: How many a link asks for; None for those that the page opens with, or none.
    """
    n_prompt = len(asked.token_ids)
    most = room(info.context_size, n_prompt)
    wanted = OPENING_STEPS if n_steps is None else n_steps
    wanted = max(0, wanted if most is None else min(wanted, most))
    if n_steps is None:
        return wanted if _work(info, n_prompt, wanted) < OPENING_WORK else 0
    affordable = takewhile(lambda n: n <= wanted and _work(info, n_prompt, n) < AGAIN_WORK, count())
    return max(affordable, default=0)


def _ask_for(n_steps: int | None, **changes: Any) -> None:
    changes["kv_cache.n_steps"] = n_steps
    put(changes)


def _wanted() -> int | None:
    """How many steps the view asks for; None for those that the page opens with."""
    n_steps = part(Choices).n_steps
    return None if n_steps is None or n_steps < 1 else n_steps


def _work(info: ModelInfo, n_prompt: int, n_steps: int) -> float:
    """About how much steps without the cache take: twice the weights per position, and per pair.

    Each pair of a query and a key takes a product and a sum of d_head numbers in every head.
    """
    rows = n_steps * n_prompt + n_steps * (n_steps - 1) / 2
    pairs = rows * (n_prompt + n_steps)
    per_pair = 4 * info.n_heads * info.d_head * len(info.attention_layers)
    return 2 * info.n_parameters * rows + per_pair * pairs + STEP_WORK * n_steps


def _begun(asked: Run, n_steps: int) -> Taken:
    """Return both runs after the steps of the opening, which were measured once for everybody."""
    on = asked.model_name, asked.token_ids, view().decoding
    return Taken(asked.model_name, _first_steps(*on, n_steps, asked.interventions))


def _gone_on(taken: Taken, n_steps: int) -> tuple[SideBySide, str | None]:
    """Take steps until there are so many; each is kept before the next one."""
    pair, problem = taken.pair, None
    _TAKEN.put(taken)
    takes_long = n_steps - len(pair) > OPENING_STEPS
    with st.spinner("Taking the steps again…") if takes_long else nullcontext():
        try:
            while len(pair) < n_steps:
                pair = _step_both(taken.model_name, pair, off_first=len(pair) % 2 == 1)
                _TAKEN.put(taken._replace(pair=pair))
        except InlookError as error:
            problem = str(error)
    return pair.first(n_steps), problem
