"""What a visitor of the demo sees. Not in demo.py: Streamlit runs that anew, classes and all."""

from dataclasses import dataclass
from typing import Literal

from pages.state import view


@dataclass(frozen=True)
class One:
    """The first page."""

    measure: Literal["entropy", "top", "loss"] = "entropy"
    zoom: float = 1.0
    open: bool = False


@dataclass(frozen=True)
class Two:
    """The second page."""

    tab: Literal["Map", "Lines", "Table"] = "Map"
    stage: Literal["start", "choice", "end"] = "start"
    step: int = 0
    order: Literal["up", "down"] = "up"


@dataclass(frozen=True)
class Three:
    """The third page."""

    watched: tuple[str, ...] = ("cat",)
    name: str = ""
    size: Literal["S", "M", "L"] = "M"


@dataclass(frozen=True)
class View(view.View):
    """What a visitor sees."""

    model: Literal["small", "big"] = "small"
    prompt: str = "Once upon a time"
    layer: int = 0
    head: int | None = 0
    strategy: Literal["greedy", "sample"] = "greedy"
    temperature: float = 1.0
    top_p: float | None = None
    cache: bool = True
    slow: float = 0.0
    written: tuple[int, ...] = ()
    one: One = One()
    two: Two = Two()
    three: Three = Three()
