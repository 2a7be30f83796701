"""Which few words in a checkpoint's files would fill the memory, or never end?

A number costs nothing to write. What is asked here is asked before a loader acts on it.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.nn.modules.module import register_module_parameter_registration_hook

from model_hooks.errors import BrokenModelError

MOST_LABELS = 100_000
"""Labels of a classifier: transformers makes a list of them, whatever the model is."""
_LABELS = ("num_labels", "_num_labels")
MOST_GROWTH = 64
"""Times as long as a tokenizer's replacements may make a text."""
MOST_TEXT_BYTES = 256 * 2**20
"""Of a file that is no weight file: it is read whole. The largest vocabularies take 35 MB."""
MOST_SETTINGS_BYTES = 16 * 2**20
"""Of a file that holds neither weights nor a vocabulary."""
SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "adapter_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
PARTS_PER_TENSOR, PARTS_BESIDE = 20, 3000
"""Parameters that a model may have for each tensor of its files, and beyond."""


def check_text_file(name: str, path: Path) -> None:
    """Refuse a file that is too large to be read whole.

    Raises:
        BrokenModelError: It is.
    """
    most = MOST_SETTINGS_BYTES if path.name in SETTINGS else MOST_TEXT_BYTES
    if (size := path.stat().st_size) > most:
        raise BrokenModelError(
            f"The {path.name} of {name} takes {size / 1e6:,.0f} MB, which no file of its kind does."
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


@contextmanager
def few_parts(name: str, n_tensors: int) -> Iterator[None]:
    """End the building of a model in this thread that has parts without end, such as experts.

    Args:
        name: What the visitor called the model.
        n_tensors: In its weight files.

    Raises:
        BrokenModelError: It has many more parameters than its files have tensors.
    """
    mine, n_parts = threading.get_ident(), 0

    def count(*_: Any) -> None:
        nonlocal n_parts
        n_parts += threading.get_ident() == mine
        if n_parts > PARTS_PER_TENSOR * n_tensors + PARTS_BESIDE:
            raise BrokenModelError(
                f"The config.json of {name} describes another model than its weights: one of over "
                f"{n_parts:,} parts, but they are {n_tensors} tensors in all."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


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
