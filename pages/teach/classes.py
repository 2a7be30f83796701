"""Which classes are open on this server, who attends them, and what is guessed there?

Memory of this process behind one lock; nothing of it is written down, and with a class all of it
goes. Students come with its code, which they can type; only the teacher's key changes anything.
Values go in and out, so that nobody holds what another one changes.
"""

import hmac
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from model_hooks.errors import InlookError

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Of codes: none that looks like another one."""
CODE_LENGTH = 8
"""31 to the 8th power are 850 billion codes."""
IDLE_S = 2 * 3600.0
"""A class of which nobody's page is open for so long is over."""
LONGEST_S = 12 * 3600.0
TRY_S, MOST_WRONG, MOST_WRONG_OF_ADDRESS = 60.0, 6, 60
"""Wrong codes within a minute: of one browser, and of one address, which a school may share."""
MOST_CLASSES, MOST_STUDENTS, MOST_OF_OWNER = 200, 500, 5
MOST_GUESSES, MOST_LETTERS = 60, 60
"""Places of which a student's guesses are kept, and letters of a guess."""
HERE_S = 10.0
"""Whoever has not asked for so long is away."""


class ClassError(InlookError):
    """There is no such class, or no room in it; the message is for the student."""


class Guessed(NamedTuple):
    """What a student said at one place, and whether the answer is shown there."""

    guess: str = ""
    shown: bool = False


class Led(NamedTuple):
    """What the teacher looks at: a page, and all of its view."""

    page: str
    view: Any


@dataclass(frozen=True)
class Student:
    """One student, by number: nobody is asked for a name."""

    number: int
    place: str
    """A step of the lesson, or a page."""
    is_here: bool
    guesses: Mapping[str, Guessed] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A class that was started: for its students, and for its teacher alone."""

    code: str
    key: str


@dataclass(frozen=True)
class Joined:
    """A place in a class."""

    code: str
    secret: str
    number: int
    lesson: str
    version: int


@dataclass(frozen=True)
class Told:
    """What students hear from the class; the version grows with each change of it."""

    version: int
    revealed: Mapping[str, int]
    """By place, the version in which its answer was shown to all."""
    led: Led | None = None
    led_version: int = 0


@dataclass(frozen=True)
class Overview:
    """What the teacher sees of a class."""

    code: str
    lesson: str
    students: tuple[Student, ...]
    revealed: frozenset[str]
    leads: bool


class _Seat:
    """A student's place, changed under the lock."""

    def __init__(self, number: int, now: float) -> None:
        self.number, self.seen = number, now
        self.session = self.person = ""
        self.place = ""
        self.guesses: dict[str, Guessed] = {}


class _Class:
    """One class, changed under the lock."""

    def __init__(self, code: str, lesson: str, owner: str, now: float) -> None:
        self.code, self.lesson, self.owner = code, lesson, owner
        self.key = secrets.token_urlsafe(24)
        self.began = self.touched = now
        self.version = 1
        self.revealed: dict[str, int] = {}
        self.leads, self.led_version = False, 0
        self.led: Led | None = None
        self.seats: dict[str, _Seat] = {}

    def told(self) -> Told:
        revealed = MappingProxyType(dict(self.revealed))
        return Told(self.version, revealed, self.led, self.led_version)


class Classes:
    """All classes of this process.

    Args:
        most: Classes at the same time.
        most_students: Students of one class.
        letter: How codes begin here, where other processes have classes, too.
        clock: Tells seconds.
    """

    def __init__(
        self,
        most: int = MOST_CLASSES,
        most_students: int = MOST_STUDENTS,
        letter: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._most_students, self._clock = most, most_students, clock
        self._letter = letter
        self._lock = threading.Lock()
        self._classes: dict[str, _Class] = {}
        self._wrong: dict[str, deque[float]] = {}

    def start(self, lesson: str = "", owner: str = "") -> Opened:
        """Open a class.

        Args:
            lesson: The lesson's name; empty for a class that looks around freely.
            owner: Who opens it, if that is known: nobody may fill the server with classes.

        Raises:
            ClassError: There are too many.
        """
        with self._lock:
            self._forget()
            n_own = sum(bool(owner) and one.owner == owner for one in self._classes.values())
            if len(self._classes) >= self._most or n_own >= MOST_OF_OWNER:
                raise ClassError(
                    "As many classes as this server takes are open. Close one of yours, or try "
                    "again later."
                )
            code = self._letter + _new_code()
            while code in self._classes:
                code = self._letter + _new_code()
            opened = self._classes[code] = _Class(code, lesson, owner, self._clock())
            return Opened(code, opened.key)

    def join(
        self,
        code: str,
        secret: str = "",
        *,
        session: str = "",
        person: str = "",
        who: Iterable[tuple[str, int]] = (),
        is_open: Callable[[str], bool] = lambda session: False,
    ) -> Joined:
        """Take a student in, or back in.

        Args:
            code: As it was typed.
            secret: Tells who comes back. If that student's page is open in another browser, the
                address was handed on, and a new student comes.
            session: The browser session.
            person: Tells one browser from another, if that is known.
            who: Whom to count a wrong code for, and how many wrong ones each may say in a minute.
            is_open: Tells whether another session goes on.

        Raises:
            ClassError: There is no such class, no room, or too many wrong codes were said.
        """
        with self._lock:
            self._forget()
            who = tuple(who)
            if any(len(self._wrong.get(name, ())) >= most for name, most in who):
                raise ClassError("Too many wrong codes: wait a minute, and look at it once more.")
            if (found := self._classes.get(plain_code(code))) is None:
                self._note_wrong(name for name, _ in who)
                raise ClassError(no_such_class(code, elsewhere=self.is_elsewhere(code)))
            now, seat = self._clock(), found.seats.get(secret)
            if seat is None or (seat.person != person and is_open(seat.session)):
                if len(found.seats) >= self._most_students:
                    raise ClassError("This class is full.")
                secret, number = secrets.token_urlsafe(9), len(found.seats) + 1
                seat = found.seats[secret] = _Seat(number, now)
            seat.session, seat.person = session, person
            seat.seen = found.touched = now
            return Joined(found.code, secret, seat.number, found.lesson, found.version)

    def told(self, code: str, secret: str) -> Told | None:
        """Tell a student what is new; None once the class is over. Notes that they are here."""
        with self._lock:
            found = self._classes.get(code)
            if found is None or (seat := found.seats.get(secret)) is None or self._is_over(found):
                return None
            seat.seen = found.touched = self._clock()
            return found.told()

    def say(self, code: str, secret: str, place: str, guessed: Guessed) -> None:
        """Note where a student stands and what was guessed there."""
        with self._lock:
            found = self._classes.get(code)
            seat = None if found is None else found.seats.get(secret)
            if seat is None:
                return
            seat.place = place[:MOST_LETTERS]
            if seat.place in seat.guesses or len(seat.guesses) < MOST_GUESSES:
                seat.guesses[seat.place] = Guessed(guessed.guess[:MOST_LETTERS], guessed.shown)

    def is_teacher(self, code: str, key: str) -> bool:
        """Tell whether a key is that of a class."""
        with self._lock:
            return self._own(code, key) is not None

    def overview(self, code: str, key: str) -> Overview | None:
        """Show a class to its teacher; None once it is over, or for another key."""
        with self._lock:
            if (found := self._own(code, key)) is None:
                return None
            found.touched = now = self._clock()
            students = tuple(
                Student(seat.number, seat.place, now - seat.seen < HERE_S, dict(seat.guesses))
                for seat in found.seats.values()
            )
            return Overview(code, found.lesson, students, frozenset(found.revealed), found.leads)

    def reveal(self, code: str, key: str, place: str) -> None:
        """Show the answer at a place to all who stand there."""
        with self._lock:
            if (found := self._own(code, key)) is not None:
                found.version += 1
                found.revealed[place[:MOST_LETTERS]] = found.version

    def lead(self, code: str, key: str, leads: bool) -> None:
        """Let the students' views follow the teacher's from now on, or no more."""
        with self._lock:
            if (found := self._own(code, key)) is not None:
                found.leads = leads
                if not leads:
                    found.led = None

    def show(self, code: str, key: str, led: Led) -> None:
        """Note what the teacher looks at, if the students follow."""
        with self._lock:
            found = self._own(code, key)
            if found is not None and found.leads and found.led != led:
                found.version += 1
                found.led, found.led_version = led, found.version

    def close(self, code: str, key: str) -> None:
        """End a class; nothing of it is kept."""
        with self._lock:
            if self._own(code, key) is not None:
                del self._classes[code]

    def _own(self, code: str, key: str) -> _Class | None:
        found = self._classes.get(code)
        if found is None or self._is_over(found):
            return None
        return found if hmac.compare_digest(found.key.encode(), key.encode()) else None

    def is_elsewhere(self, code: str) -> bool:
        """Whether a code is one of those that another process of this server gives."""
        plain = plain_code(code)
        mine = not self._letter or plain.startswith(self._letter)
        return not mine and len(plain) == CODE_LENGTH + 1

    def _is_over(self, one: _Class) -> bool:
        now = self._clock()
        return now - one.touched > IDLE_S or now - one.began > LONGEST_S

    def _forget(self) -> None:
        for code in [code for code, one in self._classes.items() if self._is_over(one)]:
            del self._classes[code]
        before = self._clock() - TRY_S
        for name in list(self._wrong):
            while self._wrong[name] and self._wrong[name][0] < before:
                self._wrong[name].popleft()
            if not self._wrong[name]:
                del self._wrong[name]

    def _note_wrong(self, names: Iterable[str]) -> None:
        for name in names:
            tries = self._wrong.setdefault(name, deque(maxlen=MOST_WRONG_OF_ADDRESS))
            tries.append(self._clock())


def no_such_class(code: str, *, elsewhere: bool) -> str:
    """Say that a code leads nowhere, and why that may be."""
    shown = f"“{code[: 2 * CODE_LENGTH]}”"
    if elsewhere:
        return f"If the code {shown} is right, another process of this server has your class."
    return f"There is no class {shown} here. Was the code mistyped, or is the class over?"


def plain_code(typed: str) -> str:
    """Return a code as it is kept: capital letters and digits, without what parts them."""
    return "".join(letter for letter in typed.upper() if letter in LETTERS)


def spoken(code: str) -> str:
    """Return a code as people read it out: two groups of letters."""
    return f"{code[: CODE_LENGTH // 2]}-{code[CODE_LENGTH // 2 :]}"


def tally(guesses: Iterable[str]) -> list[tuple[str, int]]:
    """Count equal guesses, the most frequent first."""
    return Counter(guesses).most_common()


def _new_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
