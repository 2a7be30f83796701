"""What does a visitor choose on the Generation page?"""

from dataclasses import dataclass
from typing import Literal

from pages.state.view import of_page

Details = Literal["numbers", "costs", "replay"]


@of_page("generation")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    details: Details = "numbers"
    """What lies below the chart."""
