"""Which few words in a checkpoint's files would fill the memory, or never end?

A number costs nothing to write. What is asked here is asked before a loader acts on it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_hooks.errors import BrokenModelError

MOST_LABELS = 100_000
"""Labels of a classifier: transformers makes a list of them, whatever the model is."""
_LABELS = ("num_labels", "_num_labels")
MOST_GROWTH = 64
"""Times as long as a tokenizer's replacements may make a text."""
MOST_TEXT_BYTES = 512 * 2**20
"""Of a file that is no weight file: it is read whole."""


def check_text_file(name: str, path: Path) -> None:
    """Refuse a file that is too large to be read whole.

    Raises:
        BrokenModelError: It is.
    """
    if (size := path.stat().st_size) > MOST_TEXT_BYTES:
        raise BrokenModelError(
            f"The {path.name} of {name} is {size / 1e9:.1f} GB large, which no file of its kind is."
        )


def check_labels(name: str, config: Mapping[str, Any]) -> None:
    """Refuse a config that asks for labels without end.

    Raises:
        BrokenModelError: It does, at any depth.
    """
    for key, value in config.items():
        if isinstance(value, dict):
            check_labels(name, value)
        elif key in _LABELS and isinstance(value, int | float) and value > MOST_LABELS:
            raise BrokenModelError(
                f"The config.json of {name} asks for {value:,} labels, which no model has."
            )


def check_replacements(name: str, path: Path) -> None:
    """Refuse a tokenizer.json whose replacements make a text very much longer.

    Raises:
        BrokenModelError: They do.
    """
    raw = path.read_bytes()
    if b'"Replace"' not in raw:
        return
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):  # whoever opens it says why
        return
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        found = said.get(part) if isinstance(said, dict) else None
        if (times := growth(found)) > MOST_GROWTH:
            raise BrokenModelError(
                f"The tokenizer of {name} would make texts {times:,.0f} times as long: the "
                f"replacements in the {part} of its tokenizer.json are made to fill the memory."
            )


def growth(step: Any) -> float:
    """Return how many times as long a step of a tokenizer may make a text, at the most."""
    if isinstance(step, list):
        times = 1.0
        for one in step:
            times *= growth(one)
        return times
    if not isinstance(step, dict):
        return 1.0
    if step.get("type") != "Replace":
        return growth([value for value in step.values() if isinstance(value, list | dict)])
    pattern, content = step.get("pattern"), step.get("content")
    text = pattern.get("String") if isinstance(pattern, dict) else None
    replaced = max(1, len(text)) if isinstance(text, str) else 1  # a regex may match one letter
    return max(1.0, len(content) / replaced) if isinstance(content, str) else 1.0
