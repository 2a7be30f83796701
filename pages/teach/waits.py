"""What does the open page wait for before it is drawn? A guess, in a lesson or by the switch."""

from pages.state.visit import page_name
from pages.teach import guess_first, moves
from pages.teach.lesson import Guess


def guess_due() -> Guess | None:
    """Return what is to be guessed before the picture is drawn; None once it may be seen."""
    if page_name() in guess_first.WITHOUT:
        return None
    if moves.open_lesson() is not None:
        return moves.guess_due()
    asked = guess_first.question()
    return asked.guess if asked is not None and guess_first.is_due() else None
