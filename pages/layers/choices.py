"""What a visitor chooses on the Layers page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_TOKEN, of_page

Show = Literal["token", "probability", "rank"]
Tab = Literal["words", "halves", "parts", "growth"]
Measure = Literal["probability", "rank"]


@of_page("layers")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    show: Show = "token"
    """What the cells of the table show."""
    halves: bool = False
    """Whether the table has a row for each half of a layer."""
    span: Literal["around", "all"] = "around"
    """Which tokens of a long text the table shows."""
    tab: Tab = "words"
    measure: Measure = "probability"
    logit_of: int | None = field(default=None, metadata=OF_TOKEN)
    """The token ID whose logit is split; None is the one that the model ends on."""
    against: int | None = field(default=None, metadata=OF_TOKEN)
    """The token ID whose logit is subtracted, if any."""
    share: int = 4
    """Which share of a fine-tuning's change is looked at, by its number: 4 is all of it."""
