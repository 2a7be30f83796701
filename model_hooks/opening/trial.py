"""Does a tokenizer of no plain kind come to an end? Tried where it can be ended, before it is used.

A tokenizer.json is a small program: its expressions may search for ever, its replacements fill the
memory, and the library that runs it would take the whole server with it.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from model_hooks.errors import BrokenModelError
from model_hooks.opening.aside import Aside, EndedError
from model_hooks.opening.plain import PARTS, is_plain

TIME_LIMIT_S = 10.0
MEMORY_LIMIT_BYTES = 2 * 10**9
WORKER = Path(__file__).with_name("trial_worker.py")
RUN = 3000
"""Letters of a text that consists of one of them."""
TEXTS = (
    "Once upon a time, there was 1 dog. They've 23,456 of é👩‍👧!\n\n\t<|endoftext|>",
    "aAbB0 !" * (RUN // 7),
    *(letter * RUN for letter in "aA0 !\nx\u0301_"),
)
LONGEST_WORD = "max_input_chars_per_word"
_OTHERS = (*PARTS, "padding", "added_tokens")
_SUSPECT = (*(f'"{name}"' for name in _OTHERS), r"\u00")
_STANDS_LATER = re.compile(rf'"(?:{"|".join(_OTHERS)})"\s*:\s*[^\s\d]|\\u00[4-7]')
"""Another part after the vocabulary, or a letter of its name that is written otherwise."""


def check_file(name: str, path: Path) -> None:
    """Refuse a tokenizer.json that is of no plain kind and does not come to an end.

    Raises:
        BrokenModelError: It takes too long, or too much memory.
    """
    try:
        said = without_vocabulary(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # whoever opens it says why
        return
    if not is_plain(said):
        _try(name, path)


def without_vocabulary(text: str) -> Any:
    """Return what a tokenizer.json says, without its vocabulary where that stands last.

    It is there where the library writes it, and to read it would take longer than to open it.

    Raises:
        ValueError: It is not JSON.
    """
    where = text.find('"model"')
    rest = text[max(where, 0) :]
    if where < 0 or (any(map(rest.__contains__, _SUSPECT)) and _STANDS_LATER.search(rest)):
        return json.loads(text)
    try:
        said = json.loads(text[:where].rstrip().rstrip(",") + "}")
    except ValueError:
        return json.loads(text)
    found = re.findall(rf'"{LONGEST_WORD}"\s*:\s*(\d+)', rest) if LONGEST_WORD in rest else ()
    return {**said, "model": {LONGEST_WORD: max((int(n[:9]) for n in found), default=0)}}


def check_made(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that was made of other files, as `check_file` does.

    Raises:
        BrokenModelError: It takes too long, or too much memory.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer) or is_plain(_parts_of(backend)):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_text(backend.to_str(), encoding="utf-8")
        _try(name, path)


def _parts_of(backend: Tokenizer) -> dict[str, object]:
    """Return what tokenizer.json would say, without the vocabulary."""
    found = {part: getattr(backend, part) for part in PARTS}
    said: dict[str, object] = {
        part: None if one is None else json.loads(one.__getstate__()) for part, one in found.items()
    }
    return {**said, "model": {"type": type(backend.model).__name__}}


def _try(name: str, path: Path) -> None:
    try:
        _worker.ask({"path": str(path), "texts": TEXTS}, TIME_LIMIT_S)
    except EndedError as error:
        raise BrokenModelError(
            f"The tokenizer of {name} is not opened: tried in a process of its own, which may take "
            f"{MEMORY_LIMIT_BYTES / 1e9:g} GB of memory, {error}."
        ) from error


_worker = Aside(WORKER, MEMORY_LIMIT_BYTES)
