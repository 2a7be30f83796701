"""What a visitor chooses on the Block architecture page."""

from dataclasses import dataclass, field
from typing import Literal

from model_hooks.parts.differences import Topic
from pages.state.view import OF_MODEL, OF_TEXT, of_page

Tab = Literal["whole", "place", "kind", "activation", "twins"]
OF_SECOND = {"belongs_to": ("block_architecture.second",), "forgotten": True}


@of_page("block_architecture")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    difference: Topic | None = None
    """The one that is explained; None, and what this block does not have, is its first."""
    tab: Tab = "whole"
    weights: Literal["trained", "fresh"] = "trained"
    """Of the models whose gradients are drawn."""
    compute: bool = field(default=False, metadata=OF_TEXT)
    """Whether to follow the loss back where that takes long."""
    norm: str | None = field(default=None, metadata=OF_MODEL)
    """Its module path inside the block; None is the first one."""
    twins: Literal["table", "pair"] = "table"
    speed: bool = False
    """Whether the twins' speed is measured."""
    second: str | None = None
    """The twin that is compared; None is the one after the first of all."""
    first: str | None = field(default=None, metadata=OF_SECOND)
    """What it is compared with; None is the twin that it differs from in one choice."""
