"""What a visitor chooses on the Feedforward page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_MODEL, OF_TEXT, OF_TOKEN, of_page

Measure = Literal["probability", "logit", "rank"]
Tab = Literal["neurons", "activation", "off", "experts"]
Order = Literal["effect", "size"]


@of_page("feedforward")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    word: int | None = field(default=None, metadata=OF_TOKEN)
    """The token ID of the next word to follow; None is the most probable one."""
    typed: str = field(default="", metadata=OF_MODEL)
    """A word that was typed, as long as it is not one token."""
    measure: Measure = "probability"
    tab: Tab | None = None
    """None is the first one, which is another one for a mixture of experts."""
    order: Order = "effect"
    """Which neurons come first."""
    neuron: int | None = field(default=None, metadata={"belongs_to": ("model", "layer")})
    """The neuron looked at in this layer; None is the strongest one."""
    each: bool = field(default=False, metadata=OF_TEXT)
    """Whether to switch off every feedforward in turn though it takes a while."""
