"""The next token before and after a change: one sentence, one picture, one file, on every page."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.read.recorded import each_token
from pages.ask.computed import computed
from pages.state.visit import view
from pages.text import escape_markdown, visible
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.quantity import PROBABILITY, before_options
from pages.widgets.quantity import shown as write
from viz import before_after_bars, most_changed
from viz.numbers import percent

_each_token = computed(each_token)


class BeforeAfter(NamedTuple):
    """Two distributions of the next token, and what lies between them."""

    before: Float[np.ndarray, "vocab"]
    after: Float[np.ndarray, "vocab"]
    change: str
    """What was changed, such as `without head 3 of layer 2`."""
    before_name: str = "as it is"
    pos: int | None = None
    """Of the selected model's run, the position that it comes after; None of another one."""


def names_of(token_ids: list[int]) -> list[str]:
    """Return a label per token ID of the selected model."""
    return [visible(token) for token in _each_token(view().model, tuple(map(int, token_ids)))]


def sentence(
    shown: BeforeAfter, last_token: str, names: Callable[[list[int]], list[str]] = names_of
) -> str:
    """Say what the change does to the most probable next token.

    Args:
        shown: The two distributions.
        last_token: The token that they follow, for people.
        names: Labels of token IDs, where they are not those of the selected model.
    """
    best, best_after = int(shown.before.argmax()), int(shown.after.argmax())
    first, now = (escape_markdown(name) for name in names([best, best_after]))
    fate = f"stays **{first}**" if best == best_after else f"was **{first}** and becomes **{now}**"
    was = float(shown.before[best])
    was = percent(was) if shown.pos is None else write(PROBABILITY, was, shown.pos, best)
    return (
        f"After {escape_markdown(last_token)}, the most probable token {fate}. The probability of "
        f"**{first}**{before_options(view().decoding)} goes from {was} to "
        f"{percent(float(shown.after[best]))}."
    )


def draw_before_after(
    shown: BeforeAfter,
    *,
    key: str,
    last_token: str | None = None,
    names: Callable[[list[int]], list[str]] = names_of,
) -> None:
    """Draw the tokens that are probable before or after, and offer them as a file.

    Args:
        shown: The two distributions.
        key: The chart's key, and the file's name.
        last_token: The token that they follow; with it, `sentence` is written above.
        names: Labels of token IDs, where they are not those of the selected model.
    """
    if last_token is not None:
        st.markdown(sentence(shown, last_token, names))
    token_ids = [int(token_id) for token_id in most_changed(shown.before, shown.after)]
    tokens = names(token_ids)
    chart(
        drawing(
            before_after_bars,
            tokens,
            shown.before[token_ids],
            shown.after[token_ids],
            shown.change,
            before_name=shown.before_name,
        ),
        key=key,
        alt=f"Probabilities of the next token, {shown.before_name} and {shown.change}",
    )
    csv_button(lambda: table_of(shown, token_ids, tokens), key)


def table_of(shown: BeforeAfter, token_ids: list[int], tokens: list[str]) -> pd.DataFrame:
    """Return what the picture shows, one line per token."""
    return pd.DataFrame(
        {
            "token_id": token_ids,
            "token": tokens,
            "probability": shown.before[token_ids],
            "probability_changed": shown.after[token_ids],
        }
    )
