"""What does a visitor choose in the glossary?"""

from dataclasses import dataclass

from pages.state.view import of_page


@of_page("glossary")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    word: str | None = None
    """The word that is looked up; None is none."""
