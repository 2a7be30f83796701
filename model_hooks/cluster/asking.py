"""How does one question, with all that is said until it is answered, become bytes?

    asked = question_in(data)                            # on the machine of the model
    frames = answers_to(host, asked)
    value = answer_in(frames)                            # where it was asked

An answer is a row of frames, each one byte that says what it is and a value.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from enum import IntEnum
from typing import Any

from model_hooks.cluster.checked import misfit
from model_hooks.cluster.listed import errors, hints_of, name_of_class, questions
from model_hooks.cluster.wire import WireError, pack, unpack
from model_hooks.errors import HostFailedError, InlookError
from model_hooks.host import Answers, Question

MOST_ASKED = 8 * 2**20
"""Bytes of a question; the longest text of Inlook takes a tenth of that."""
UNREADABLE = "The machine that runs the models answered something that cannot be read."
UNFORESEEN = "The machine that runs the models failed at this question; its log says why."


class Said(IntEnum):
    """What a frame is: its first byte."""

    VALUE = 1
    """The answer, and the last frame."""
    STREAM = 2
    """The answer is an iterator over what follows."""
    MORE = 3
    END = 4
    REFUSED = 5
    """An error whose text is for people: its class and its sentence."""
    FAILED = 6
    """An error that nobody foresaw; the log over there knows more."""
    WAITS = 7
    """How many are before this question."""
    ALIVE = 8
    """It is being worked on."""


PASSING = (Said.WAITS, Said.ALIVE)
"""Frames that are no part of the answer."""
LAST = (Said.VALUE, Said.END, Said.REFUSED, Said.FAILED)
OnWait = Callable[[int | None], None]
"""Called while a question waits, with how many are before it, and with None while it is worked on;
an exception ends it."""


def question_in(data: bytes) -> Question:
    """Return the question that some bytes are.

    Raises:
        WireError: They are none that may be asked.
    """
    if len(data) > MOST_ASKED:
        raise WireError(f"a question of {len(data):,} bytes is too long")
    question = unpack(data, strict=True)
    if not isinstance(question, Question):
        raise WireError("that is no question")
    if (function := questions().get(question.function)) is None:
        raise WireError(f"{question.function} is no question that may be asked")
    given = question.key, dict(question.named)
    if (wrong := misfit(function, hints_of(function), *given)) is not None:
        raise WireError(f"{question.function} does not take that: {wrong}")
    return question


def answers_to(host: Answers, question: Question) -> Iterator[bytes]:
    """Yield the frames of an answer. Closing it ends the work."""
    try:
        answer = host.answer(question)
        if not hasattr(answer, "__next__"):
            yield frame(Said.VALUE, answer)
            return
        with closing(answer):
            yield frame(Said.STREAM)
            for value in answer:
                yield frame(Said.MORE, value)
            yield frame(Said.END)
    except InlookError as error:
        yield frame(Said.REFUSED, (name_of_class(type(error)), str(error)))


def frame(said: Said, value: Any = None) -> bytes:
    """Return the bytes of a frame."""
    return bytes([said]) + pack(value)


def answer_in(frames: Iterator[bytes], on_wait: OnWait = lambda n_before: None) -> Any:
    """Return the answer that frames are: a value, or an iterator over values.

    Args:
        frames: As `answers_to` yields them.
        on_wait: Is told about frames that are no part of the answer.

    Raises:
        InlookError: What the host refused it with.
    """
    is_stream = False
    try:
        for said, value in _read(frames, on_wait):
            if said == Said.VALUE:
                return value
            if is_stream := said == Said.STREAM:
                return _values(frames, on_wait)
            break
        raise HostFailedError(UNREADABLE)
    finally:
        if not is_stream:
            frames.close()  # type: ignore[attr-defined]


def _values(frames: Iterator[bytes], on_wait: OnWait) -> Iterator[Any]:
    try:
        for said, value in _read(frames, on_wait):
            if said == Said.END:
                return
            if said != Said.MORE:
                break
            yield value
    finally:
        frames.close()  # type: ignore[attr-defined]
    raise HostFailedError(UNREADABLE)


def _read(frames: Iterator[bytes], on_wait: OnWait) -> Iterator[tuple[int, Any]]:
    for data in frames:
        try:
            said, value = data[0], unpack(data[1:])
        except (WireError, IndexError) as error:
            raise HostFailedError(UNREADABLE) from error
        if said in PASSING:
            on_wait(value)
        elif said == Said.REFUSED:
            raise _refusal(*value)
        elif said == Said.FAILED:
            raise HostFailedError(UNFORESEEN)
        else:
            yield said, value


def _refusal(name: str, sentence: str) -> InlookError:
    return errors().get(name, InlookError)(str(sentence))


class Loopback:
    """A host whose questions and answers travel, though it is in this process."""

    def __init__(self, host: Answers) -> None:
        self.host = host

    def answer(self, question: Question) -> Any:
        """Return what comes out at the other end."""
        return answer_in(answers_to(self.host, question_in(pack(question))))
