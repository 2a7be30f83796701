"""What a visitor chooses on the Attention page."""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_TEXT, of_page

Sort = Literal[
    "layer", "previous_token", "first_token", "same_token", "induction", "entropy_bits", "distance"
]
Measure = Literal["weight", "size", "rollout"]
Tab = Literal["several", "arithmetic", "ablation"]
Part = Literal["nothing", "head", "attention", "feedforward", "link"]


@of_page("attention")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    sort: Sort = "layer"
    measure: Measure = "weight"
    hide_first: bool = False
    rows: Literal["keep", "rescale"] = "keep"
    """What happens to the weights that remain."""
    span: tuple[int, int] | None = field(default=None, metadata=OF_TEXT)
    """First and last token to draw; None is all of them."""
    head_of_a: str = ""
    """Layer and head of the pinned run, as `4.3`, where it is another one than that of B."""
    tab: Tab = "several"
    key: int | None = field(default=None, metadata=OF_TEXT)
    """The key whose arithmetic is followed; None is the one that is read most."""
    part: Part = "head"
    """What is switched off, to see what it is good for."""
    link_query: int | None = field(default=None, metadata=OF_TEXT)
    link_key: int = field(default=0, metadata=OF_TEXT)
    where: Literal["everywhere", "layer", "head"] = "everywhere"
    queries: tuple[int, ...] | None = field(default=None, metadata=OF_TEXT)
    """The group that is read as one; None is the chosen query alone."""
    keys: tuple[int, ...] = field(default=(), metadata=OF_TEXT)
