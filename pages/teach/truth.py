"""What is true of a step of a lesson, with the model that is open? Asked of live runs.

found = look(step, view)          # every value of the step
holds(claim, found), verdict(step.guess, " Tim", found)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from model_hooks import Decoding, InlookError
from pages.state.link import field_value
from pages.state.view import View, changed_copy, whole_view
from pages.teach.answers import KINDS, answer
from pages.teach.lesson import Condition, Guess, Lesson, Option, Step, Value
from pages.teach.subject import Answer, Subject
from pages.text import code_span, escape_markdown, visible
from viz.numbers import bits, percent, three_digits

OVERRIDES = ("model", "prompt", "pos", "layer", "head")
"""Of the subject: what any value may look at instead of what the step shows."""
OPTIONS = ("temperature", "top_k", "top_p", "min_p", "seed")
"""Of decoding: a value that sets one samples."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LIST = re.compile(r"^(\d+)([.)])(?=\s)", re.MULTILINE)
"""A number at the beginning of a line, of which Markdown would make a list."""
WRITE: Mapping[str, Callable[[float], str]] = {
    "share": percent,
    "bits": bits,
    "bits per byte": lambda number: f"{number:.3f} bits per byte",
    "bytes": lambda number: f"{number:,.0f} bytes",
    "number": lambda number: f"{number:,.0f}" if number == int(number) else three_digits(number),
}
"""How numbers are written, by what a question gives."""
CLOSE = 3.0
"""A number within so many tolerances is nearly right."""


class Found(NamedTuple):
    """A value that was asked for, or why there is none."""

    gives: str
    value: Answer | None
    reads: str
    """In words, as Markdown."""


@dataclass(frozen=True)
class Verdict:
    """How a guess compares with the truth."""

    is_right: Literal["yes", "nearly", "no", "unknown"]
    guess: str
    """As Markdown; empty where nothing was guessed."""
    truth: str


def view_of(lesson: Lesson, number: int, model: str | None = None) -> View:
    """Return all that a step shows.

    Args:
        lesson: The lesson.
        number: The step's, from 1.
        model: Another model than the one it is written for.
    """
    step, kind = lesson.step(number), whole_view()
    told = {"model": lesson.models[0], **dict(step.view)}
    if model is not None:
        told["model"] = model
    changes = {name: field_value(kind, name, value) for name, value in told.items()}
    place = {"course.lesson": lesson.name, "course.step": number}
    return changed_copy(kind(), {**changes, **place})


def look(step: Step, seen: View) -> dict[str, Found]:
    """Ask for every value of a step; one that this model does not have says why."""
    return {value.name: find(value, seen) for value in step.values}


def find(value: Value, seen: View) -> Found:
    """Ask for one value."""
    gives = KINDS[value.ask].gives
    try:
        about, given = subject_of(value, seen)
        truth = answer(value.ask, about, given)
        return Found(gives, truth, written(gives, truth, about))
    except InlookError as error:
        return Found(gives, None, f"(none: {str(error).rstrip('.')})")


def subject_of(value: Value, seen: View) -> tuple[Subject, dict[str, Any]]:
    """Return what a value is asked about in a view, and the question's own arguments."""
    given = dict(value.given)
    about = Subject(
        seen.model, seen.prompt, seen.interventions, seen.pos, seen.layer, seen.head, seen.decoding
    )
    if "prompt" not in given and seen.written:
        about = replace(about, written=seen.written)
    changes = {name: given.pop(name) for name in OVERRIDES if name in given}
    if "off" in given:
        changes["interventions"] = field_value(View, "interventions", given.pop("off"))
    if sampled := {name: given.pop(name) for name in OPTIONS if name in given}:
        changes["decoding"] = Decoding("sample", **sampled)
    return replace(about, **changes), given


def written(gives: str, value: Answer, about: Subject) -> str:
    """Write an answer for people, as Markdown."""
    if gives == "token":
        return code_span(visible(str(value)))
    if gives == "text":
        return f"“{escape_markdown(' '.join(str(value).split()))}”"
    if gives == "pieces":
        return " ".join(code_span(visible(piece)) for piece in str(value).split("|"))
    if gives == "place":
        return f"{code_span(visible(about.tokens()[int(value)]))} (token {value})"
    return WRITE[gives](float(value)) if gives in WRITE else f"{gives} {value}"


def filled(text: str, found: Mapping[str, Found]) -> str:
    """Put values into a text, where it has their names in braces."""
    return _LIST.sub(r"\1\\\2", PLACEHOLDER.sub(lambda match: found[match[1]].reads, text))


def holds(condition: Condition, found: Mapping[str, Found]) -> bool:
    """Tell whether a condition holds; one about what is not there does not."""
    value, to = found[condition.value].value, condition.to
    if condition.relation in ("above", "below") and isinstance(to, str):
        to = found[to].value
    if value is None or to is None:
        return False
    match condition.relation:
        case "is":
            return value == to
        case "is_not":
            return value != to
        case "above":
            return float(value) > float(to)
        case "below":
            return float(value) < float(to)
        case "near":
            return abs(float(value) - float(to)) <= condition.within


def right_options(guess: Guess, found: Mapping[str, Found]) -> list[Option]:
    """Return the options whose conditions hold: one, where the question makes sense."""
    return [one for one in guess.options if all(holds(c, found) for c in one.holds)]


def false_claims(step: Step, found: Mapping[str, Found]) -> list[str]:
    """Say which claims of a step do not hold: nothing where it is true."""
    faults = [
        f"{claim.value} is {found[claim.value].reads}, not {claim.relation.replace('_', ' ')} "
        f"{claim.to}"
        for claim in step.claims
        if not holds(claim, found)
    ]
    if step.guess and step.guess.kind == "choice":
        n_right = len(right_options(step.guess, found))
        faults += [] if n_right == 1 else [f"{n_right} answers of the question are right, not 1"]
    elif step.guess and found[step.guess.value].value is None:
        faults.append(f"the question has no answer: {found[step.guess.value].reads}")
    return faults


def offered_guesses(guess: Guess, seen: View) -> dict[str, str]:
    """Return what there is to choose from and how it reads; nothing where one types."""
    if guess.kind == "choice":
        return {number: one.says for number, one in _numbered(guess).items()}
    about = Subject(seen.model, seen.prompt, written=seen.written)
    try:
        match guess.kind:
            case "place":
                names = map(visible, about.tokens())
                return {str(pos): f"{pos}: {name}" for pos, name in enumerate(names)}
            case "layer":
                return {str(layer): f"Layer {layer}" for layer in range(about.info.n_layers)}
            case "head":
                sizes = about.info
                places = [(i, j) for i in sizes.attention_layers for j in range(sizes.n_heads)]
                return {f"{i}.{j}": f"Layer {i}, head {j}" for i, j in places}
    except InlookError:
        pass  # the page says why
    return {}


def _numbered(guess: Guess) -> dict[str, Option]:
    """The answers of a choice by what a view keeps of them."""
    return {str(number): option for number, option in enumerate(guess.options)}


def truth_of(guess: Guess, found: Mapping[str, Found]) -> str:
    """Return the answer to a question, as Markdown."""
    if guess.kind != "choice":
        return found[guess.value].reads
    return " or ".join(option.says for option in right_options(guess, found)) or "none of these"


def verdict(guess: Guess, told: str, found: Mapping[str, Found]) -> Verdict:
    """Compare what somebody guessed with what the model says."""
    truth = truth_of(guess, found)
    if not told.strip():
        return Verdict("unknown", "", truth)
    if guess.kind == "choice":
        if (chosen := _numbered(guess).get(told)) is None:
            return Verdict("unknown", "", truth)
        is_right = chosen in right_options(guess, found)
        return Verdict("yes" if is_right else "no", chosen.says, truth)
    value = found[guess.value].value
    if value is None:
        return Verdict("unknown", code_span(told), truth)
    if guess.kind in ("number", "share", "bits", "bytes"):
        return _of_number(guess, told, float(value), truth)
    same = _plain(told) == _plain(str(value))
    shown = told if guess.kind in ("layer", "head", "place") else visible(told)
    return Verdict("yes" if same else "no", code_span(shown), truth)


def _of_number(guess: Guess, told: str, value: float, truth: str) -> Verdict:
    number = number_in(told)
    if number is None:
        return Verdict("unknown", code_span(told), truth)
    unit = "%" if guess.kind == "share" else ""
    gap = abs(number / 100 - value if guess.kind == "share" else number - value)
    near = "nearly" if gap <= CLOSE * guess.within else "no"
    return Verdict("yes" if gap <= guess.within else near, f"{number:g}{unit}", truth)


def number_in(told: str) -> float | None:
    """Return the number that somebody typed, such as `4,096`, `98 %` or `3.7 bits`."""
    match = re.search(r"-?\d+(\.\d+)?", told.replace(",", ""))
    return float(match[0]) if match else None


def _plain(token: str) -> str:
    return token.strip().casefold()
