"""What did a loader's exception say, in one sentence for the person who named the model?"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_hooks.errors import BrokenModelError, ModelError, ModelTooLargeError

LONGEST_REASON = 240
"""Characters of a loader's own words that are shown."""

_PACKAGES = (
    r"pip install (?:-{1,2}[\w-]+ )*['\"`]?([A-Za-z][\w.-]*)",
    r"No module named ['\"]([\w.]+)['\"]",
    r"[Rr]equires (?:the )?`?([A-Za-z][\w-]*)`? (?:library|package)",
    r"`?([A-Za-z][\w-]*)`? (?:library|package)? ?is not installed",
    r"could not find the ([A-Za-z][\w-]*) library",
)
"""How loaders say that a package is missing, each with the package's name as its group."""


def explain(name: str, folder: str | Path, error: Exception) -> ModelError:
    """Turn a loader's exception into one sentence that keeps its reason.

    Args:
        name: What the visitor called the model.
        folder: Where its files are.
        error: What the loader raised.
    """
    text = str(error)
    if isinstance(error, ModelError):
        return error
    if isinstance(error, MemoryError) or "not enough memory" in text or "out of memory" in text:
        return ModelTooLargeError(f"{name} does not fit into memory: choose a smaller model.")
    if "trust_remote_code" in text:
        return needs_code(name)
    if package := missing_package(error):
        return BrokenModelError(
            f"{name} needs the package {package}, which is not installed where Inlook runs: "
            f"install it (pip install {package}) and start Inlook again."
        )
    return BrokenModelError(f"transformers cannot open {name}: {reason(error, folder)}.")


def needs_code(name: str) -> BrokenModelError:
    """Say that a model would run code that came with it."""
    return BrokenModelError(
        f"{name} needs code from its repository, which Inlook never runs: choose a model that "
        "transformers supports itself."
    )


def missing_package(error: Exception) -> str | None:
    """Return the package that a loader asks for, as pip calls it; None if it asks for none."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    text = " ".join(str(error).split())
    for pattern in _PACKAGES if isinstance(error, ImportError) or "pip install" in text else ():
        if found := re.search(pattern, text):
            return found[1].rstrip(".").lower()
    return None


def reason(error: BaseException, folder: str | Path = "") -> str:
    """Return the first sentence of an exception, on one line and without its full stop.

    Args:
        error: What was raised.
        folder: A path that is left out of it.
    """
    text = " ".join(str(error).split())
    if isinstance(error, KeyError) and len(error.args) == 1:
        text = f"there is no {error.args[0]!r} where it is looked for"
    if folder:
        text = text.replace(f"{folder}/", "").replace(str(folder), "the folder")
    first = re.split(r"(?<=[\w)\]'\"`][.!?])\s+(?=[A-Z])", text)[0]
    if len(first) > LONGEST_REASON:
        first = f"{first[:LONGEST_REASON]}…"
    return first.rstrip(" .:!") or type(error).__name__


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Turn a panic of code in Rust, which is no `Exception`, into one that can be explained."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from error
