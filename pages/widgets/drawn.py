"""What is drawn on a page in this run?

    with collecting() as drawn:
        page.run()
    html_file(drawn.values(), ...)

Every component comes by here (`component` notes it), so that a page says nothing of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Drawn(NamedTuple):
    """One component on a page, with all that its script is given."""

    component: str
    """Its script and its style are `browser/<component>.js` and `.css`."""
    data: dict[str, Any] | bytes
    says: str
    """What it shows, in words."""
    alone: bool
    """Whether its style touches nothing else."""


_DRAWN: ContextVar[dict[str, Drawn] | None] = ContextVar("drawn", default=None)


@contextmanager
def collecting() -> Iterator[dict[str, Drawn]]:
    """Collect what is drawn meanwhile, by its key and in its order."""
    drawn: dict[str, Drawn] = {}
    token = _DRAWN.set(drawn)
    try:
        yield drawn
    finally:
        _DRAWN.reset(token)


def note(key: str, one: Drawn) -> None:
    """Note what is drawn, if anybody collects; what is drawn twice under a key counts once."""
    if (drawn := _DRAWN.get()) is not None:
        drawn.pop(key, None)
        drawn[key] = one
