"""How are whole texts written from a choice: how many tokens, how far it is, how they are shown?"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from model_hooks.experiments.continuations import Text
from model_hooks.read.recorded import decode_after
from model_hooks.write.room import room
from pages.ask.computed import computed
from pages.ask.session import info
from pages.lm_head.seen import Seen
from pages.text import visible
from pages.widgets.bind import bind
from pages.widgets.press import press

LETTERS = 90
"""Of a text in a table."""
UPDATE_S = 0.15
"""Time between two moves of the progress bar."""

_decode_after = computed(decode_after)


def pick_n_tokens(seen: Seen, widget: Callable[..., Any], field: str, most: int) -> int:
    """Let the reader choose how many tokens each text gets: no more than the context holds."""
    left = room(info().context_size, len(seen.prefix_ids))
    return bind(
        widget,
        "Tokens each",
        field,
        min_value=1,
        max_value=most if left is None else min(most, left),
        keeps=True,
    )


@contextmanager
def progress(
    what: str, n_steps: int, key: str, stop: Callable[[], None] | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar, with a Stop button if there is something to keep.

    Any click interrupts the script at the bar's next move.

    Args:
        what: What is being done.
        n_steps: How many steps there are in all.
        key: The button's key.
        stop: Called when the button is clicked, before the script starts again.

    Yields:
        A function to call with the number of steps done.
    """
    box = st.empty()
    with box.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, f"{what}…")
        if stop is not None:
            press("Stop", key=key, icon=":material/stop:", on_click=stop)
    moved = time.monotonic()

    def on_step(n_done: int) -> None:
        nonlocal moved
        if time.monotonic() - moved > UPDATE_S:
            moved = time.monotonic()
            bar.progress(min(1.0, n_done / n_steps), f"{what}: {n_done} of {n_steps} steps")

    yield on_step
    box.empty()


def shown_text(seen: Seen, text: Text, letters: int | None = LETTERS) -> str:
    """Return what a text says, its end cut off where it is long; None cuts nothing."""
    whole = _decode_after(seen.asked.model_name, seen.prefix_ids, text.token_ids)
    if letters is None:
        return whole
    line = visible(whole).replace("·", " ")
    return line if len(line) <= letters else line[: letters - 1] + "…"


def longest(texts: Sequence[Text]) -> int:
    """Return how many tokens the longest of some texts has."""
    return max((len(text.token_ids) for text in texts), default=0)
