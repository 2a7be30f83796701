"""Which tokens of a long text does a page show? A window around the chosen one.

All pairs of n tokens are n x n numbers: of a long text, pages compute and send those in a window.
"""

import streamlit as st

WHOLE_UP_TO = 1024
"""Texts of up to so many tokens are shown whole."""
WINDOW = 512
"""So many tokens of longer ones are shown at once."""


def window_around(n_tokens: int, pos: int) -> slice:
    """Return the tokens to show: all of a short text, else a window that the position is in.

    It stays where it is while the position moves a little, and begins at multiples of half its
    size, so that what was computed is of use again.
    """
    if n_tokens <= WHOLE_UP_TO:
        return slice(0, n_tokens)
    half = WINDOW // 2
    stop = min(n_tokens, max(WINDOW, (pos // half + 1) * half))
    return slice(max(0, stop - WINDOW), stop)


def say_window(shown: slice, n_tokens: int) -> None:
    """Say which tokens of a long text are shown, and how to move on."""
    if shown.stop - shown.start < n_tokens:
        st.info(
            f"The text has {n_tokens:,} tokens. Pairs of tokens are shown for {WINDOW} of them, "
            f"tokens {shown.start} to {shown.stop - 1}: choose another token, here or in the text "
            "above, to move there.",
            icon=":material/width:",
        )
