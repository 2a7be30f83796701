"""What a visitor chooses on the KV cache page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_MODEL, OF_TEXT, of_page

Tab = Literal["race", "contents", "sizes", "full"]
WhenFull = Literal["refuse", "recompute", "forget"]
NumberFormat = Literal["float32", "bfloat16", "float16", "int8", "int4"]
OF_RUNS = {"belongs_to": ("model", "prompt", "decoding", "interventions"), "forgotten": True}
"""Begins anew with whatever makes both runs begin anew."""


@of_page("kv_cache")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    n_steps: int | None = field(default=None, metadata=OF_RUNS)
    """Tokens that both runs have written; None is what the page opens with."""
    step: int | None = field(default=None, metadata=OF_RUNS)
    """The step that is looked at, from 1; None is the newest."""
    tab: Tab = "race"

    untrained: bool = False
    """Whether the model of random weights is raced instead of the loaded one."""
    n_prompt: int | None = field(default=None, metadata=OF_TEXT)
    """Tokens of the race's prompt, repeated or cut; None is its own number."""
    n_tokens: int = 40
    """How many a race writes."""
    n_rounds: int = 3

    kv_head: int = field(default=0, metadata=OF_MODEL)

    size_model: str | None = field(default=None, metadata=OF_MODEL)
    """The public model whose cache is worked out; None is the loaded one."""
    positions: int | None = field(default=None, metadata=OF_MODEL)
    """Of each text; None is the loaded model's context."""
    batch: int = 1
    stored_as: NumberFormat | None = None
    """None is as published."""
    gigabytes: float = 8.0
    """Of the memory that it has to fit into."""

    context: int | None = field(default=None, metadata=OF_RUNS)
    """How many positions the model is pretended to read; None is half the text."""
    full: WhenFull = "recompute"
    """What happens when they are used up."""
