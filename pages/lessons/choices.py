"""What does a visitor choose on the Lessons page?"""

from dataclasses import dataclass

from pages.state.view import of_page


@of_page("lessons")
@dataclass(frozen=True)
class Choices:
    """The page's part of the view."""

    teach: str = ""
    """The lesson whose notes for teachers are open; empty for the list."""
    answers: bool = True
    """Whether the notes give the answers; a handout does not."""
    guesses_at: int = 1
    """The step of which a teacher sees how the class guessed."""
