"""What a visitor sees, as one immutable value: what all pages share, and one part per page.

The shared fields are those of `View`. A page adds a part of its own beside its code:

    @of_page("attention")
    @dataclass(frozen=True)
    class Choices:
        measure: Literal["weight", "size"] = "weight"

Fields are called by dotted names (`layer`, `decoding.temperature`, `attention.measure`): so widgets
bind them, links write them, and `changed_copy` changes them.
"""

import functools
import operator
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from typing import Any, TypeVar

from model_hooks import Decoding, Intervention
from model_hooks.opening.installed import SMOLLM2
from model_hooks.text.conversations import AS_USUAL, Asked

DEFAULT_MODEL = "storyteller"
DEFAULT_PROMPT = "Lily and Tim went to the lighthouse. Lily and"

FIRST_LOOKS = {SMOLLM2.name: {"layer": 18, "head": 6}}
"""Where a model is first looked at by a visitor who has chosen no layer and head: what copies the
name in the first prompt."""

Part = TypeVar("Part")
Viewed = TypeVar("Viewed")

OF_MODEL = {"belongs_to": ("model",)}
"""Put away when the model changes, and given back with it."""
CARRIED = {**OF_MODEL, "carried": True}
"""The same, but a model that is new to this visitor begins with what the last one had."""
OF_TEXT = {"belongs_to": ("model", "prompt"), "forgotten": True}
"""Begins anew with another model or prompt."""
OF_TOKEN = {"belongs_to": ("model", "prompt", "pos")}
"""Put away when another token is looked at, and given back with it."""


@dataclass(frozen=True)
class Stops:
    """What ends a run before all its tokens are written; see `pages/ask/stops.py`."""

    stop_text: str = ""
    """A text that was written; empty for none."""
    stop_entropy: float | None = None
    """More bits than these at the choice of a token."""
    stop_surprise: float | None = None
    """A token of more bits than these."""
    stop_off_top: bool = False
    """A token that was not the most probable one."""
    stop_word: str = ""
    """A word whose rank is watched; empty for none."""
    stop_rank: int | None = None
    """The worst rank that it may have."""


OF_STEP = {"belongs_to": ("course.lesson", "course.step")}
"""Put away when another step of a lesson is opened, and given back with it."""


@dataclass(frozen=True)
class Course:
    """Where somebody stands in a lesson, and what was guessed there."""

    lesson: str = ""
    """The lesson's name; empty for none."""
    step: int = 1
    guess: str = field(default="", metadata=OF_STEP)
    shown: bool = field(default=False, metadata=OF_STEP)
    """Whether what was asked for is seen by now."""
    hints: int = field(default=0, metadata=OF_STEP)
    """How many are unfolded."""
    stood: tuple[str, ...] = ()
    """How the lesson's other steps were left, as `pages/teach/moves.py` writes it."""
    focus: bool = False
    """Whether what is not the lesson's is folded away."""


@dataclass(frozen=True)
class Attendance:
    """Which class somebody is in, and as whom."""

    code: str = ""
    """The class's; empty for none."""
    student: str = ""
    """Tells a student who comes back after a reload."""
    teacher: str = ""
    """The teacher's key; in no link for students."""


@dataclass(frozen=True)
class Selection:
    """Which run every page is about: a model, its text, and how it is run and written on."""

    model: str = DEFAULT_MODEL
    prompt: str = DEFAULT_PROMPT
    decoding: Decoding = field(default=Decoding(), metadata={"flat": True})
    use_cache: bool = True
    interventions: tuple[Intervention, ...] = field(default=(), metadata=OF_MODEL)
    """What is switched off, on every page."""
    written: tuple[int, ...] = field(default=(), metadata=OF_TEXT)
    """IDs of the tokens generated after the prompt."""
    turns: tuple[str, ...] = field(default=(), metadata=OF_TEXT)
    """The conversation that the prompt was made of, as `user:Hi`; none where it is a plain text."""
    asked: Asked = field(default=AS_USUAL, metadata=OF_TEXT)
    """What the chat template was asked for besides."""


OF_LOOK = {"belongs_to": ("model", "prompt", "written", "pos", "interventions"), "forgotten": True}
"""Begins anew with whatever changes an answer."""


@dataclass(frozen=True)
class GuessFirst:
    """Whether pages wait for a guess before they show what comes out, and what was guessed."""

    guess_first: bool = False
    guessed: str = field(default="", metadata=OF_LOOK)
    seen: str = field(default="", metadata=OF_LOOK)
    """What has been shown, as `pages/teach/guess_first.py` calls it."""


@dataclass(frozen=True)
class View(Selection):
    """What is looked at on every page; the pages' own parts come on top (`whole_view`)."""

    pinned: Selection | None = None
    """Run A, which stays as it is while the selection above goes on as run B; None: no pair."""
    pos: int | None = field(default=None, metadata=OF_TEXT)
    """A token's position from 0; None is the last one, which makes the prediction."""
    layer: int = field(default=4, metadata=CARRIED)
    """With `head`, the one that copies the name in the first prompt; others take the nearest."""
    head: int | None = field(default=4, metadata={**CARRIED, "none": "mean"})
    """None is the mean over all heads."""
    n_per_run: int = 20
    """Tokens that one run writes at the most."""
    stops: Stops = field(default=Stops(), metadata={"flat": True})
    keys: bool = True
    """Whether single letters are commands."""
    watched: tuple[int, ...] | None = field(default=None, metadata=OF_MODEL)
    """Token IDs of words to watch; None for the most probable ones."""
    typed: str = field(default="", metadata=OF_MODEL)
    """A word that was typed to be watched, as long as it is not one token."""
    first: GuessFirst = field(default=GuessFirst(), metadata={"flat": True})
    course: Course = field(default=Course(), metadata={"flat": True})
    folds_template: bool = False
    """Whether tokens of the chat template are folded in the text of a conversation."""
    present: bool = False
    """Whether the page is shown by a projector."""
    attends: Attendance = field(default=Attendance(), metadata={"flat": True})


_PARTS: dict[str, type] = {}


def selection_of(of: View) -> Selection:
    """Return which run a view is about."""
    return Selection(**{one.name: getattr(of, one.name) for one in fields(Selection)})


def of_page(name: str) -> Callable[[type[Part]], type[Part]]:
    """Register a frozen dataclass, all of whose fields have defaults, as a page's part.

    Args:
        name: The page's folder.
    """

    def register(kind: type[Part]) -> type[Part]:
        _PARTS[name] = kind
        return kind

    return register


def name_of_part(kind: type) -> str:
    """Return the page that a part belongs to."""
    return next(name for name, part in _PARTS.items() if part is kind)


def whole_view() -> type[View]:
    """Return the class of a whole view: `View` with the parts of all pages imported so far."""
    return _with_parts(tuple(_PARTS.items()))


@functools.cache
def _with_parts(parts: tuple[tuple[str, type], ...]) -> type[View]:
    added = [(name, kind, field(default=kind())) for name, kind in parts]
    return make_dataclass("WholeView", added, bases=(View,), frozen=True)


@functools.cache
def fields_of(kind: type, prefix: str = "") -> Mapping[str, tuple[Any, Mapping[str, Any]]]:
    """Return the type and the metadata of every field by its dotted name."""
    found: dict[str, Any] = {}
    types = typing.get_type_hints(kind)
    for of in fields(kind):
        if is_dataclass(types[of.name]):
            inner = fields_of(types[of.name], f"{prefix}{of.name}.")
            found |= {name: (of_, {**own, **of.metadata}) for name, (of_, own) in inner.items()}
        else:
            found[prefix + of.name] = types[of.name], of.metadata
    return found


def value_of(of: Any, name: str) -> Any:
    """Return a field's value by its dotted name."""
    return _getter(name)(of)


@functools.cache
def _getter(name: str) -> Callable[[Any], Any]:
    return operator.attrgetter(name)


def changed_copy(of: Viewed, changes: Mapping[str, Any]) -> Viewed:
    """Return a copy with other values of some fields, by dotted names.

    Raises:
        ValueError: A value that checks itself, such as `Decoding`, refuses it.
    """
    for name, new in changes.items():
        first, _, rest = name.partition(".")
        inner = changed_copy(getattr(of, first), {rest: new}) if rest else new
        of = replace(of, **{first: inner})  # pyright: ignore[reportArgumentType]
    return of


def first_seen(of: Viewed, model: str | None, told: Collection[str] = ()) -> Viewed:
    """Look at a model where it is first looked at, but for what somebody told."""
    known, looks = fields_of(type(of)), FIRST_LOOKS.get(model or "", {})
    untold = {name: at for name, at in looks.items() if name in known and name not in told}
    return changed_copy(of, untold)
