"""What do all tabs of the Positions page look at?"""

from typing import NamedTuple

from model_hooks import ModelInfo
from model_hooks.bundled import training_run
from model_hooks.host import Run
from model_hooks.read.positions import Positions

UNKNOWN_LENGTH = 512
"""Stands in where neither training nor the configuration names a length."""


class Subject(NamedTuple):
    """One run, and what tells its model the order of the tokens."""

    asked: Run
    info: ModelInfo
    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    """The tokens for people."""
    facts: Positions


def trained_length(info: ModelInfo) -> int:
    """Return the length of the texts that a model was trained on, as far as it is known."""
    run = training_run(info.name)
    return info.context_size or UNKNOWN_LENGTH if run is None else run.trained_length
