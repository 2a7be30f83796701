"""What a visitor chooses on the Forward pass page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import of_page

StageName = Literal["tokenizer", "embedding", "blocks", "lm_head", "choice"]


@of_page("forward_pass")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    stage: StageName = field(default="tokenizer", metadata={"flat": True})
    """The stage that is open."""
    tour: bool = False
    """Whether each stage is told in one sentence over the picture."""
