"""What is a lesson? Steps, each a page and what to see there, often with a guess to make first.

Plain values, as `reading` makes them of a file in `lessons/`. Nothing here knows a model: what is
true is asked in `truth`.
"""

from dataclasses import dataclass
from typing import Any, Literal

Relation = Literal["is", "is_not", "above", "below", "near"]
GuessKind = Literal["token", "number", "share", "bits", "bytes", "layer", "head", "place", "choice"]

Given = tuple[tuple[str, Any], ...]
"""Arguments by name, sorted."""


@dataclass(frozen=True)
class Value:
    """One thing to be asked of a model: a name of `answers.KINDS` and its arguments."""

    name: str
    ask: str
    given: Given = ()


@dataclass(frozen=True)
class Condition:
    """Something that holds or not: a value compared with a number, a text or another value."""

    value: str
    relation: Relation
    to: str | float
    """For `above` and `below`, the name of a value, too."""
    within: float = 0.0
    """For `near`."""


@dataclass(frozen=True)
class Option:
    """One of several answers, right where all its conditions hold."""

    says: str
    holds: tuple[Condition, ...]


@dataclass(frozen=True)
class Guess:
    """What is guessed before the picture is drawn."""

    question: str
    kind: GuessKind
    value: str = ""
    """The name of the value that is the answer; empty for a choice."""
    within: float = 0.0
    """How far from the answer a number may be."""
    options: tuple[Option, ...] = ()
    hides_text: bool = False
    """Whether the tokens of the text would give the answer away."""


@dataclass(frozen=True)
class Step:
    """One step of a lesson."""

    title: str
    page: str
    """The folder of the page beside which it stands."""
    text: str
    view: Given
    """Fields of the view, by dotted names; all others are as in a new session."""
    values: tuple[Value, ...] = ()
    guess: Guess | None = None
    reveal: str = ""
    """What is said once the picture is seen; `{name}` stands for a value."""
    hints: tuple[str, ...] = ()
    claims: tuple[Condition, ...] = ()
    """What must hold for the text to be true."""
    discuss: str = ""
    """What a teacher may ask the class."""
    line: int = 1
    """Where it begins in its file."""


@dataclass(frozen=True)
class Lesson:
    """A lesson; its name is that of its file."""

    name: str
    title: str
    minutes: int
    goal: str
    models: tuple[str, ...]
    """Those that every claim was checked with: the first is the one that steps open with."""
    steps: tuple[Step, ...]
    corrects: tuple[str, ...] = ()
    """What people believe before, in their words."""
    order: int = 0
    """Its place in the list."""

    def nearest(self, number: int) -> int:
        """Return the number of a step, from 1; of the nearest one where there is none."""
        return min(max(number, 1), len(self.steps))

    def step(self, number: int) -> Step:
        """Return the step of a number, or the nearest one."""
        return self.steps[self.nearest(number) - 1]
