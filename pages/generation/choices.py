"""What does a visitor choose on the Generation page?"""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import of_page

Details = Literal["numbers", "costs", "replay"]


@of_page("generation")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    details: Details = "numbers"
    """What lies below the chart."""
    follows: Literal["own", "of_a"] = "own"
    """What B writes when both are stepped."""
    why: bool = field(default=False, metadata={"belongs_to": ("model", "prompt", "pos", "written")})
    """Whether each earlier word is hidden, to see which ones made it say this token."""
