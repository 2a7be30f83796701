"""How does a text file become a lesson? By strict checks, each of which names file, step and line.

A lesson is a TOML file in `lessons/`; `lessons/README.md` describes it.
"""

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from pages.state.link import field_value
from pages.state.view import View, fields_of, whole_view
from pages.teach.answers import KINDS
from pages.teach.lesson import Condition, Given, Guess, GuessKind, Lesson, Option, Step, Value
from pages.teach.truth import OPTIONS, OVERRIDES, PLACEHOLDER

FOLDER = Path(__file__).parents[2] / "lessons"
N_HINTS = 3
RELATIONS = ("is", "is_not", "above", "below", "near")
_OF_LESSON = {"title", "minutes", "goal", "models", "corrects", "order", "step"}
_OF_STEP = {"title", "page", "text", "view", "values", "claims", "reveal", "hints", "discuss"}
_OF_GUESS = {"question", "guess", "answer", "within", "options", "hides_text"}
_NUMBERS = ("number", "share", "bits", "bytes")


class LessonError(ValueError):
    """A lesson's file says something that cannot be; the message is for who writes it."""


class _Place:
    """Where in a file something stands, for messages."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines = [n for n, line in enumerate(text.splitlines(), 1) if line == "[[step]]"]
        self.step: int | None = None

    @property
    def line(self) -> int:
        if self.step is None or self.step > len(self._lines):
            return 1
        return self._lines[self.step - 1]

    def fault(self, says: str) -> LessonError:
        """Return the error to raise."""
        where = "" if self.step is None else f", step {self.step} (line {self.line})"
        return LessonError(f"{self.path.name}{where}: {says}")


def lessons() -> Mapping[str, Lesson]:
    """Return all lessons by their names, in order; those that cannot be read are left out."""
    return _all()[0]


def faulty() -> tuple[str, ...]:
    """Say what is wrong with each file that cannot be read."""
    return _all()[1]


@functools.cache
def _all() -> tuple[Mapping[str, Lesson], tuple[str, ...]]:
    found, faults = [], []
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            found.append(read_lesson(path))
        except LessonError as error:
            faults.append(str(error))
    found.sort(key=lambda lesson: lesson.order)
    return {lesson.name: lesson for lesson in found}, tuple(faults)


def read_lesson(path: Path) -> Lesson:
    """Read one lesson.

    Raises:
        LessonError: The file says something that cannot be.
    """
    text = path.read_text(encoding="utf-8")
    place = _Place(path, text)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise place.fault(f"this is no TOML: {error}") from error
    _only(place, told, _OF_LESSON, ("title", "minutes", "goal", "models", "step"))
    steps = []
    for number, step in enumerate(told["step"], 1):
        place.step = number
        steps.append(_step(place, step))
    place.step = None
    if not told["models"]:
        raise place.fault("`models` names none.")
    return Lesson(
        name=path.stem,
        title=told["title"],
        minutes=int(told["minutes"]),
        goal=told["goal"],
        models=tuple(told["models"]),
        steps=tuple(steps),
        corrects=tuple(told.get("corrects", ())),
        order=int(told.get("order", 0)),
    )


def _step(place: _Place, told: Mapping[str, Any]) -> Step:
    _only(place, told, _OF_STEP | _OF_GUESS, ("title", "page", "text"))
    if told["page"] not in _pages():
        raise place.fault(f"there is no page `{told['page']}`: {', '.join(sorted(_pages()))}.")
    values = tuple(_value(place, name, one) for name, one in told.get("values", {}).items())
    names = {value.name: KINDS[value.ask].gives for value in values}
    step = Step(
        title=told["title"],
        page=told["page"],
        text=told["text"].strip(),
        view=_view(place, told.get("view", {})),
        values=values,
        guess=_guess(place, told, names) if "question" in told else None,
        reveal=told.get("reveal", "").strip(),
        hints=tuple(told.get("hints", ())),
        claims=tuple(_condition(place, one, names) for one in told.get("claims", ())),
        discuss=told.get("discuss", ""),
        line=place.line,
    )
    for text in (step.text, step.reveal, step.discuss, *step.hints):
        for name in PLACEHOLDER.findall(text):
            if name not in names:
                raise place.fault(f"a text has {{{name}}}, and `values` has no such value.")
    if step.guess and len(step.hints) != N_HINTS:
        raise place.fault(f"a question wants {N_HINTS} hints, and here are {len(step.hints)}.")
    if not step.guess and (extra := _OF_GUESS & told.keys()):
        raise place.fault(f"`{min(extra)}` belongs to a `question`, and here is none.")
    return step


def _pages() -> set[str]:
    """The folders of all pages, each of which has a part of the view."""
    return {of.name for of in fields(whole_view())} - {of.name for of in fields(View)}


def _view(place: _Place, told: Mapping[str, Any]) -> Given:
    kind, flat = whole_view(), dict(_flat(told))
    for name, value in flat.items():
        if name not in fields_of(kind):
            raise place.fault(f"a view has no field `{name}`.")
        try:
            field_value(kind, name, value)
        except ValueError as error:
            raise place.fault(f"`{name}` cannot be {value!r}.") from error
    return _given(flat)


def _flat(told: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """Give dotted names to what TOML puts into tables."""
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _value(place: _Place, name: str, told: Any) -> Value:
    if not re.fullmatch(r"[a-z]\w*", name):
        raise place.fault(f"`{name}` is no name for a value: letters, digits and _ only.")
    if not isinstance(told, dict) or told.get("ask") not in KINDS:
        raise place.fault(f"`{name}` asks for none of: {', '.join(sorted(KINDS))}.")
    ask, given = told["ask"], {key: one for key, one in told.items() if key != "ask"}
    takes = KINDS[ask].takes
    if unknown := given.keys() - takes.keys() - {*OVERRIDES, *OPTIONS, "off"}:
        raise place.fault(f"`{name}`: `{ask}` takes no `{min(unknown)}`.")
    for argument, of in takes.items():
        kind = of if isinstance(of, type) else type(of)
        if argument not in given and isinstance(of, type):
            raise place.fault(f"`{name}`: `{ask}` needs `{argument}`.")
        if argument in given and type(given[argument]) is not kind:
            raise place.fault(f"`{name}`: `{argument}` is no {kind.__name__}.")
    if "off" in given:
        try:
            field_value(View, "interventions", given["off"])
        except ValueError as error:
            raise place.fault(f"`{name}`: nothing can be switched off by that `off`.") from error
    return Value(name, ask, _given(given))


def _condition(place: _Place, told: Any, names: Mapping[str, str]) -> Condition:
    """Read such as `{value = "tim", above = 0.9}`."""
    relations: list[Any] = [one for one in RELATIONS if isinstance(told, dict) and one in told]
    if len(relations) != 1 or told.keys() - {"value", "within", relations[0]}:
        raise place.fault(f"a claim is a value and one of {', '.join(RELATIONS)}: {told!r}.")
    (relation,) = relations
    value, to = told.get("value", ""), told[relation]
    if value not in names:
        raise place.fault(f"a claim is about `{value}`, and `values` has no such value.")
    is_name = relation in ("above", "below") and isinstance(to, str)
    if is_name and to not in names:
        raise place.fault(f"a claim compares with `{to}`, and `values` has no such value.")
    if relation == "near" and "within" not in told:
        raise place.fault("`near` needs `within`.")
    return Condition(value, relation, to, float(told.get("within", 0.0)))


def _guess(place: _Place, told: Mapping[str, Any], names: Mapping[str, str]) -> Guess:
    kind: Any = told.get("guess")
    if kind not in get_args(GuessKind):
        raise place.fault(f"`guess` is none of: {', '.join(get_args(GuessKind))}.")
    if kind == "choice":
        options = told.get("options", [])
        if len(options) < 2:
            raise place.fault("a choice needs two `options` or more.")
        found = tuple(_option(place, one, names) for one in options)
        return Guess(told["question"], kind, options=found, hides_text=_hides(told))
    answer: Any = told.get("answer")
    if answer not in names:
        raise place.fault(f"the answer is `{answer}`, and `values` has no such value.")
    if names[answer] != kind:
        raise place.fault(f"the guess is a {kind}, and `{answer}` is a {names[answer]}.")
    if kind in _NUMBERS and "within" not in told:
        raise place.fault("a guessed number needs `within`, the distance that still is right.")
    within = float(told.get("within", 0.0))
    return Guess(told["question"], kind, answer, within, hides_text=_hides(told))


def _hides(told: Mapping[str, Any]) -> bool:
    return bool(told.get("hides_text", False))


def _option(place: _Place, told: Any, names: Mapping[str, str]) -> Option:
    if not isinstance(told, dict) or told.keys() != {"says", "if"} or not told["if"]:
        raise place.fault(f"an option has `says` and `if`: {told!r}.")
    return Option(told["says"], tuple(_condition(place, one, names) for one in told["if"]))


def _given(told: Mapping[str, Any]) -> Given:
    return tuple(
        (name, tuple(one) if isinstance(one, list) else one) for name, one in sorted(told.items())
    )


def _only(place: _Place, told: Mapping[str, Any], known: set[str], needed: tuple[str, ...]) -> None:
    if unknown := told.keys() - known:
        raise place.fault(f"there is no `{min(unknown)}` here: {', '.join(sorted(known))}.")
    for name in needed:
        if name not in told:
            raise place.fault(f"`{name}` is missing.")
