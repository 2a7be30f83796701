"""How is somebody who waits told how many come before them?"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


class QueueLine:
    """A line on the page, once there is something to say."""

    def __init__(self) -> None:
        self._line: DeltaGenerator | None = None

    def say(self, n_before: int) -> None:
        """Say how many come before."""
        if self._line is None:
            self._line = st.empty()
        who = {0: "You are next", 1: "1 person before you"}
        self._line.caption(
            f":material/hourglass: {who.get(n_before, f'{n_before} people before you')}…"
        )

    def clear(self) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.empty()
