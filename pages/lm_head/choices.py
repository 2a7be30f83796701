"""What does a visitor choose on the LM head page?"""

from dataclasses import dataclass, field
from typing import Literal

from pages.state.view import OF_TOKEN, of_page

Tab = Literal[
    "one_score",
    "stages",
    "all_tokens",
    "temperature",
    "surprisal",
    "draws",
    "texts",
    "beams",
]
ScoreBy = Literal["sum", "mean"]

_PLACE = ("model", "prompt", "pos", "interventions")
_OF_TEXTS = {
    "belongs_to": (*_PLACE, "decoding", "lm_head.n_texts", "lm_head.n_tokens"),
    "forgotten": True,
}
_OF_SEARCH = {
    "belongs_to": (*_PLACE, "lm_head.n_beams", "lm_head.n_steps", "lm_head.score_by"),
    "forgotten": True,
}


@of_page("lm_head")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    tab: Tab = "one_score"
    followed: int | None = field(default=None, metadata=OF_TOKEN)
    """The token whose numbers are followed; None is the most probable one."""
    n_draws: int = 200
    drawn_again: int = 0
    """How often another set of draws was asked for."""
    n_texts: int = 20
    n_tokens: int = 24
    """Of each text."""
    stopped: bool = field(default=False, metadata=_OF_TEXTS)
    """Whether the texts that are not written yet are to be left out."""
    n_beams: int = 4
    n_steps: int = 10
    """Of the search: tokens of each text."""
    score_by: ScoreBy = "sum"
    n_shown: int | None = field(default=None, metadata=_OF_SEARCH)
    """Steps of the search that are drawn; None is all of them."""
