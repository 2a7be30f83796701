"""What a visitor chooses on the Positions page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_MODEL, OF_TEXT, of_page

Tab = Literal["turned", "pairs", "waves", "vectors", "bias", "swap", "shift", "longer"]
Moving = Literal["query", "both"]
Order = Literal["swap", "shuffle"]
Source = Literal["story", "own"]
Stretch = Literal["as_trained", "linear", "dynamic", "yarn"]


@of_page("positions")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    tab: Tab = "turned"
    """Where the model lacks it, the first one that it has is open."""

    move: Moving = "query"
    """What the slider turns."""
    key: int | None = field(default=None, metadata=OF_TEXT)
    """The key's position; None is the one before the query."""
    bases: tuple[int, ...] = ()
    """Bases whose wavelengths are drawn beside the model's own."""

    order: Order = "swap"
    first: int | None = field(default=None, metadata=OF_TEXT)
    """The positions that are swapped; None for two that teach something."""
    second: int | None = field(default=None, metadata=OF_TEXT)
    seed: int = 1
    """Of the order that tokens are shuffled into."""

    by: int | None = None
    """How far the text is moved; None for a quarter of what is possible."""
    listed: str | None = field(default=None, metadata=OF_MODEL)
    """The model whose next-token list is shown; None is the selected one."""

    models: tuple[str, ...] | None = field(default=None, metadata=OF_MODEL)
    """Those that read a long text; None is all there are."""
    source: Source = "story"
    times: Literal[1, 2, 4] = 2
    """The length of the text, in lengths that the models were trained on."""
    stretches: tuple[Stretch, ...] = ("as_trained", "linear", "yarn")
    """What is done to the rotation."""
