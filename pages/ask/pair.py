"""What is asked of both runs, A and B? And where do their texts share a place?

Run B is what the visitor looks at, run A is what was pinned. A page asks of both what it would ask
of one, with the same function:

    a, b = of_both(lambda: _attention(*run(), layer, head))
    found = of_pair(_apart, pairs)                     # a question that compares both runs

How both are drawn is in `pages/widgets/compared.py`.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from model_hooks import ComparisonError, InlookError, ModelTooLargeError
from model_hooks.host import Run
from model_hooks.read.between import share_vocabulary
from model_hooks.read.recorded import bytes_of_tokens
from model_hooks.text.alignment import Places, align, align_by_characters, partner_of
from pages.ask.computed import Ask, computed
from pages.ask.session import run
from pages.state.kept import Kept
from pages.state.view import Selection, selection_of
from pages.state.visit import looking_at, view

Found = TypeVar("Found")
KEPT = 64
"""Pairs of texts whose alignment is kept."""

_RUNS = Kept[tuple[tuple[Selection, Selection], tuple[Run, Run]]]("pair.runs")
"""The two runs last asked about, by what was selected: a page asks for them dozens of times."""

_TOO_LARGE = Kept[tuple[tuple[str, str], str]]("pair.too_large")
"""Two models that the memory did not hold at once, until A is unpinned, and what was said: each
would be loaded anew for every click, in place of the other."""

_share_vocabulary = computed(share_vocabulary)
_bytes_of = computed(bytes_of_tokens)


def of_both(ask: Callable[[], Found]) -> tuple[Found, Found]:
    """Ask something about the pinned run, and the same about the visitor's: A's answer, and B's.

    Args:
        ask: Asks about whatever run `session.run()` returns, at the position of `view()`.

    Raises:
        InlookError: One of them has no answer.
    """
    with in_a():
        of_a = ask()
    return of_a, ask()


def has_pair() -> bool:
    """Whether a run is pinned, and can be run."""
    return view().pinned is not None and problem_of_a() is None


def problem_of_a() -> str | None:
    """Say why the pinned run cannot be run; None where it can, or where none is pinned."""
    if (pinned := view().pinned) is None:
        _TOO_LARGE.drop()
        return None
    if _kept_runs() is not None:
        return None
    with looking_at(None):
        models = pinned.model, view().model
    if (known := _TOO_LARGE.get()) is not None and known[0] == models:
        return known[1]
    try:
        with looking_at(pinned):
            a = run()
        if b := _run_of_b():
            _is_one_vocabulary(a, b)  # needs both models at once, and the memory may hold but one
    except InlookError as error:
        if isinstance(error, ModelTooLargeError):
            _TOO_LARGE.put((models, str(error)))
        return str(error)
    return None


def can_run_b() -> bool:
    """Whether what the visitor looks at can be run; the page says why not."""
    return _kept_runs() is not None or _run_of_b() is not None


def _kept_runs() -> tuple[Run, Run] | None:
    """Return the two runs, if they were the last to be asked for."""
    with looking_at(None):
        kept, asked = _RUNS.get(), (view().pinned, selection_of(view()))
    return kept[1] if kept is not None and kept[0] == asked else None


def _run_of_b() -> Run | None:
    """Return run B, once it has been made; None where it cannot be, and the page goes on."""
    with looking_at(None):
        own = selection_of(view())
    try:
        with looking_at(own):
            return run()
    except InlookError:
        return None


@contextmanager
def in_a() -> Iterator[None]:
    """Look at the pinned run, at the place of the position that is looked at.

    Raises:
        ComparisonError: A's text has nothing there.
    """
    pinned = view().pinned
    assert pinned is not None, "nothing is pinned"
    with looking_at(pinned, _pos_in_a(), same_tokens=is_one_vocabulary()):
        yield


def runs() -> tuple[Run, Run]:
    """Return run A and run B, once they have been made.

    Raises:
        InlookError: A cannot be run.
    """
    pinned = view().pinned
    assert pinned is not None, "nothing is pinned"
    if (kept := _kept_runs()) is not None:
        return kept
    with looking_at(None):
        own, of_b = selection_of(view()), run()
    with looking_at(pinned):
        found = run(), of_b
    _is_one_vocabulary(*found)  # whose models may not fit into memory together
    _RUNS.put(((pinned, own), found))
    return found


def of_pair(question: Ask, *key: Any) -> Any:
    """Ask a question that compares both runs.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    a, b = runs()
    return question(*a, *b, *key)


def places() -> Places:
    """Return where the texts of A and B share a place.

    Raises:
        InlookError: A cannot be run.
    """
    return _aligned(*runs())


def is_one_vocabulary() -> bool:
    """Whether the token IDs of A and B mean the same tokens."""
    return _is_one_vocabulary(*runs())


def _aligned(a: Run, b: Run) -> Places:
    if _is_one_vocabulary(a, b):
        return _align(a.token_ids, b.token_ids)
    return _align_by_characters(*(_bytes_of(one.model_name, one.token_ids) for one in (a, b)))


def _is_one_vocabulary(a: Run, b: Run) -> bool:
    return a.model_name == b.model_name or _share_vocabulary(b.model_name, *a)


_align = functools.lru_cache(maxsize=KEPT)(align)
_align_by_characters = functools.lru_cache(maxsize=KEPT)(align_by_characters)


def _pos_in_a() -> int | None:
    """The position in A that shares a place with the chosen one; the last one with the last."""
    a, b = runs()
    pos = view().pos
    if pos is None:
        return None
    if pos >= len(b.token_ids) - 1:  # the last one, or the one to come
        return len(a.token_ids) + pos - len(b.token_ids)
    if (partner := partner_of(_aligned(a, b), pos)) is None:
        raise ComparisonError(
            f"Token {pos} has no place in A's text: choose one that stands in both."
        )
    return partner
