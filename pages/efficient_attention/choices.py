"""What a visitor chooses on the Efficient attention page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_MODEL, OF_TEXT, of_page

Tab = Literal["patterns", "kv_heads", "flash"]
Kind = Literal["full", "window", "window_first", "strided", "block"]
Look = Literal["walk", "traffic", "times"]


@of_page("efficient_attention")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    tab: Tab = "patterns"

    kind: Kind = "window"
    """The pattern of the tokens that may be read."""
    window: int | None = None
    """Its tokens, or those of a block; None goes by the text."""
    n_first: int = 1
    stride: int | None = None
    """Every how many tokens one is read; None goes by the length of the text."""
    layers: tuple[int, ...] = field(default=(), metadata=OF_MODEL)
    """Where the pattern acts; empty is everywhere."""
    by_layer: bool = False
    """Whether the pattern is tried in one layer at a time, too."""

    groups: int | None = field(default=None, metadata=OF_MODEL)
    """KV heads that are left after averaging; None is a choice that makes sense."""

    look: Look = "walk"
    """What is looked at of FlashAttention."""
    rows: int | None = field(default=None, metadata=OF_TEXT)
    """Queries per tile; None goes by the length of the text."""
    columns: int | None = field(default=None, metadata=OF_TEXT)
    """Keys per tile."""
    step: int = field(default=1, metadata=OF_TEXT)
    """The tile that is looked at, from 1, in the order of the walk."""
    sram: int = 128 * 1024
    """Bytes of fast memory for one head."""
    measured: str = ""
    """The ticket of a measurement of this machine; empty for none."""
