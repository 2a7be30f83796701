"""Garbage is collected after each pause, in the background, and Streamlit leaves it alone."""

import gc
import tomllib
import weakref
from pathlib import Path

import pytest

from pages.ask.garbage import collect_now_and_then

CONFIG = Path(__file__).parents[3] / ".streamlit/config.toml"


class Knot:
    """Something that only a collection frees: it holds itself."""

    def __init__(self):
        self.itself = self


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_garbage_of_before_a_pause_is_gone_after_it():
    gc.disable()
    try:
        knot = weakref.ref(Knot())
        seen = []

        def pause(seconds):
            seen.append((seconds, knot() is None))
            if len(seen) == 2:
                raise SystemExit

        collect_now_and_then(pause, 7).join(10)
    finally:
        gc.enable()
    assert seen == [(7, False), (7, True)]


def test_streamlit_does_not_collect_after_each_run():
    assert tomllib.loads(CONFIG.read_text())["runner"]["postScriptGC"] is False
