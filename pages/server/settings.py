"""What may strangers do on this server? What the environment says about it, as one value.

Nothing is limited unless a variable says so: a laptop is its owner's. `INLOOK_PUBLIC=1` sets all
limits at once; each can be set, or lifted with `none`, by a variable of its own.
"""

import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_hooks import bundled_models
from model_hooks.cluster.places import ADDRESS
from model_hooks.loading import bundled_adapters

PUBLIC = "INLOOK_PUBLIC"
BUNDLED = "bundled"
"""Stands for all models that come along, in a list of models."""
NONE = "none"
_OFF, _ON = ("", "0", "no", "off", "false"), ("1", "yes", "on", "true")
HIGHEST = 10**9


@dataclass(frozen=True)
class Settings:
    """What this server allows; None is no limit."""

    public: bool = False
    models: tuple[str, ...] | None = None
    """The only ones that may be opened, and whose tokenizers may be, by their names."""
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    """After a prompt, in all."""
    texts: int | None = None
    """Written at once."""
    beams: int | None = None
    seconds: int | None = None
    """For one long run: a race, many texts, a beam search, the tokens of one click."""
    at_once: int | None = None
    """Questions that are worked on at the same time, for all visitors; the others queue."""
    visitors: int | None = None
    """Connections at the same time."""
    tabs: int | None = None
    """Of these, from one address of the internet."""
    classes: int | None = None
    """That teachers have open at the same time."""
    students: int | None = None
    """Of one class."""
    idle_minutes: int | None = None
    """After which a connection that says nothing is closed."""
    download_gb: int | None = None
    """The largest download from the Hugging Face Hub."""
    hosts: tuple[str, ...] | None = None
    """What the server is called; requests for others are refused. Numeric addresses and
    localhost are always its own."""
    models_at: str = ""
    """The address of the cluster that has the models; empty where this process has them."""
    metrics: bool = False
    """Whether `/metrics` says how much there is to do."""

    def at_most(self, field: str, number: int) -> int:
        """Return a number, or the limit of that name where it is lower."""
        limit = getattr(self, field)
        return number if limit is None else min(number, limit)

    @property
    def text_tokens(self) -> int | None:
        """The longest text, prompt and new tokens together."""
        if self.prompt_tokens is None or self.new_tokens is None:
            return None
        return self.prompt_tokens + self.new_tokens


@functools.cache
def settings() -> Settings:
    """Return what the environment says, with a sentence in the log for each nonsense in it."""
    return read(os.environ, logging.getLogger("inlook").warning)


def process_letter() -> str:
    """Return how codes begin that lead to this process; nothing where it is the only one."""
    said = os.environ.get("INLOOK_PROCESS_LETTER", "").strip().upper()
    return said if len(said) == 1 and said.isascii() and said.isalnum() else ""


def read(environment: Mapping[str, str], warn: Callable[[str], None]) -> Settings:
    """Return what some variables say.

    A limit that makes no sense is that of a public server, the strict one.

    Args:
        environment: The variables.
        warn: Called with one sentence for each that makes no sense.
    """
    public = _switch(environment, PUBLIC, False, warn)
    found: dict[str, Any] = {
        "public": public,
        "models_at": environment.get(ADDRESS, "").strip(),
        "metrics": _switch(environment, "INLOOK_METRICS", False, warn),
        "models": _models(environment.get("INLOOK_ALLOWED_MODELS", BUNDLED if public else NONE)),
        "hosts": _names(environment.get("INLOOK_HOSTS", _own_host(environment, public))),
    }
    for field, strict in _limits().items():
        said = environment.get(variable(field), "").strip().lower()
        found[field] = strict if public else None
        if said == NONE:
            found[field] = None
        elif said:
            found[field] = _number(variable(field), said, strict, warn)
    if found["models_at"] and not environment.get(variable("at_once"), "").strip():
        found["at_once"] = None  # the cluster has a queue of its own
    return Settings(**found)


def variable(field: str) -> str:
    """Return the variable that sets a limit."""
    return {
        "at_once": "INLOOK_AT_ONCE",
        "idle_minutes": "INLOOK_IDLE_MINUTES",
    }.get(field, f"INLOOK_MOST_{field.upper()}")


def _limits() -> dict[str, int]:
    """The limits of a public server."""
    return {
        "prompt_tokens": 512,
        "new_tokens": 200,
        "texts": 20,
        "beams": 4,
        "seconds": 30,
        "at_once": max(1, (os.cpu_count() or 2) - 1),
        "visitors": 200,
        "tabs": 60,
        "classes": 20,
        "students": 60,
        "idle_minutes": 60,
        "download_gb": 5,
    }


def _switch(
    environment: Mapping[str, str], name: str, default: bool, warn: Callable[[str], None]
) -> bool:
    said = environment.get(name)
    if said is None:
        return default
    if said.strip().lower() not in _OFF + _ON:
        warn(f"{name}={said!r} is neither 0 nor 1: it is taken for 1.")
    return said.strip().lower() not in _OFF


def _number(name: str, said: str, strict: int, warn: Callable[[str], None]) -> int:
    if said.isdecimal() and 1 <= int(said[:12]) <= HIGHEST:
        return int(said)
    warn(f"{name}={said!r} is no number from 1 to {HIGHEST:,} nor {NONE}: {strict} is used.")
    return strict


def _names(said: str) -> tuple[str, ...] | None:
    names = tuple(name.strip() for name in said.split(",") if name.strip())
    return None if names == (NONE,) else names


def _models(said: str) -> tuple[str, ...] | None:
    names = _names(said)
    if names is None:
        return None
    own = (*bundled_models(), *bundled_adapters())
    return tuple(
        dict.fromkeys(one for name in names for one in (own if name == BUNDLED else (name,)))
    )


def _own_host(environment: Mapping[str, str], public: bool) -> str:
    """Hugging Face Spaces say what they are called; elsewhere nobody knows but the owner."""
    return environment.get("SPACE_HOST", "") if public else NONE
