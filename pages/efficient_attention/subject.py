"""What do all tabs of the Efficient attention page look at, and how do they tell where from?"""

from typing import NamedTuple

from model_hooks import ModelInfo
from model_hooks.host import Run

MEASURED = ":green[:material/science: measured]"
ARITHMETIC = ":blue[:material/calculate: arithmetic]"


class Subject(NamedTuple):
    """One run and what is known of it."""

    asked: Run
    info: ModelInfo
    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    """The tokens for people."""
