"""What is there to guess on each page, where no lesson asks? The next token, a place, a layer.

The switch is a field of the view; what was guessed is forgotten with the text that it was about.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pages.state.view import View
from pages.state.visit import page_name, put, uses, view
from pages.teach.lesson import Guess, Value
from pages.teach.truth import Found, find

ANSWER = "answer"


class Question(NamedTuple):
    """What is asked on a page, and how the answer is found."""

    guess: Guess
    value: Value


def _asked(question: str, kind: str, ask: str, hides_text: bool = False) -> Question:
    guess = Guess(question, kind, ANSWER, hides_text=hides_text)  # pyright: ignore[reportArgumentType]
    return Question(guess, Value(ANSWER, ask))


NEXT = _asked("Which token comes next?", "token", "top_token")
QUESTIONS: Mapping[str, Question] = {
    "attention": _asked("Which token does this head read most?", "place", "most_read"),
    "layers": _asked(
        "After which layer does the token lead for good on which the model ends?",
        "layer",
        "lead_layer",
    ),
    "tokenizer": _asked("How many tokens does this text become?", "number", "tokens", True),
}
"""By page; on all others, the next token is asked for."""
WITHOUT = ("", "lessons", "glossary")
"""Pages that are about no run."""


def question() -> Question | None:
    """Return what is to be guessed on the open page; None where guessing is off."""
    uses("first.guess_first")
    if not view().first.guess_first or page_name() in WITHOUT:
        return None
    return asked_on(page_name())


def asked_on(page: str) -> Question:
    """Return what is to be guessed on a page."""
    return QUESTIONS.get(page, NEXT)


def is_due() -> bool:
    """Whether the page waits for a guess."""
    uses("first.seen")
    return question() is not None and view().first.seen != _looked_at()


def reveal() -> None:
    """Show what was asked for; a callback."""
    put({"first.seen": _looked_at()})


def truth(asked: Question) -> dict[str, Found]:
    """Return the answer for what is looked at now."""
    return {ANSWER: find(asked.value, view())}


def looked_at(seen: View, page: str) -> str:
    """Name what a guess is about, beyond the text: the page, and on Attention the head."""
    return f"attention.{seen.layer}.{seen.head}" if page == "attention" else page


def _looked_at() -> str:
    if page_name() == "attention":
        uses("layer", "head")
    return looked_at(view(), page_name())
