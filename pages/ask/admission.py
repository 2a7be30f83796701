"""May this question be asked here, and when is it its turn?

Stands between whoever asks and the host, on servers that limit what visitors may do. Every question
comes by, so no page, link or box gets round it.
"""

import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from model_hooks import InlookError, PromptError
from model_hooks.host import Question
from model_hooks.opening.allowed import check_allowed
from pages.ask.queue_line import QueueLine
from pages.server.counters import ANSWER_SECONDS
from pages.server.settings import Settings
from pages.server.turns import Turns
from pages.server.visitors import leave_if_gone, person

LETTERS_PER_TOKEN = 20
"""A text that is longer than so many letters for each token that it may have is not even cut."""


class TimeIsUpError(InlookError):
    """A run took longer than this server lets it."""


class Admission:
    """Answers questions as a host does, one after the other, and those alone that are allowed.

    Args:
        host: Who answers.
        allows: What may be asked.
        turns: Who waits for whom.
    """

    def __init__(self, host: Any, allows: Settings, turns: Turns) -> None:
        self._host, self._allows, self._turns = host, allows, turns

    def answer(self, question: Question) -> Any:
        """Return the host's answer; an iterator gets a turn for each of its values.

        Raises:
            InlookError: The question is not allowed here; the message says why.
        """
        self.check(question)
        with _Wait(self._turns, long=False), ANSWER_SECONDS.time():
            answer = self._host.answer(question)
        return self._in_turns(answer) if hasattr(answer, "__next__") else answer

    def check(self, question: Question) -> None:
        """Refuse a question about another model or about too long a text.

        Raises:
            ModelNotFoundError: The model is not on the list.
            PromptError: The text is too long.
        """
        if self._allows.models is not None:
            for run in question.runs:
                check_allowed(run.model_name)
        if (most := self._allows.text_tokens) is None:
            return
        texts = [run.token_ids for run in question.runs]
        given = (*texts, question.key, [value for _, value in question.named])
        if any(_is_longer(value, most) for value in given):
            raise PromptError(
                f"This server takes texts of up to {most:,} tokens, the written ones included: "
                "take a shorter one, or Inlook on your own computer."
            )

    def _in_turns(self, values: Iterator[Any]) -> Iterator[Any]:
        """Hand on values one by one, for as long as a run may take and somebody looks."""
        spent = 0.0
        try:
            while True:
                leave_if_gone()
                with _Wait(self._turns, long=True), ANSWER_SECONDS.time():
                    began = time.monotonic()
                    try:
                        value = next(values)
                    except StopIteration:
                        return
                    spent += time.monotonic() - began
                yield value
                if self._allows.seconds is not None and spent > self._allows.seconds:
                    raise TimeIsUpError(
                        f"This server gives one run {self._allows.seconds} seconds: ask for less, "
                        "or take Inlook on your own computer."
                    )
        finally:
            if (close := getattr(values, "close", None)) is not None:
                close()


class _Wait:
    """A turn, and a line that says how many come before while it is waited for."""

    def __init__(self, turns: Turns, *, long: bool) -> None:
        self._line = QueueLine()
        self._turn = turns.turn(long=long, person=person(), on_wait=self._say)

    def __enter__(self) -> None:
        self._turn.__enter__()
        self._line.clear()

    def __exit__(self, *what: Any) -> None:
        self._turn.__exit__(*what)

    def _say(self, n_before: int) -> None:
        leave_if_gone()
        self._line.say(n_before)


def _is_longer(value: Any, most: int) -> bool:
    """Tell whether there is a text in a value, or the IDs of one, that has more tokens."""
    if isinstance(value, str):
        return len(value) > LETTERS_PER_TOKEN * most
    if isinstance(value, tuple | list):
        ids = len(value) > most and all(isinstance(one, int) for one in value)
        return ids or any(_is_longer(one, most) for one in value if not isinstance(one, int))
    if is_dataclass(value) and not isinstance(value, type):
        return any(_is_longer(getattr(value, of.name), most) for of in fields(value))
    return False
