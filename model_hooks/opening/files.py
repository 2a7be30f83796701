"""Which of a folder's files would be opened, are they whole, and how much do they hold?

Nothing is read here but JSON and the headers of weight files.
"""

import json
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants
from safetensors import SafetensorError, safe_open
from transformers.utils.hub import CHAT_TEMPLATE_DIR

from model_hooks.errors import BrokenModelError, ModelNotFoundError
from model_hooks.opening.bounds import check_labels, check_replacements, check_text_file
from model_hooks.opening.reasons import reason

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
READ_BY_LOADERS = (".json", ".jsonl", ".safetensors", ".model", ".txt", ".jinja", ".tiktoken")
SMALL_JSON = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""What loaders read; some of them go on with a default where it cannot be read."""
_LAYER_COUNT = re.compile(r"(num|n)_(\w+_)?layers?")


class Weights(NamedTuple):
    """What the headers of a checkpoint's weight files say."""

    n_bytes: int
    """Of the files that are opened; others beside them do not count."""
    n_weights: int
    """Numbers in them; several may be packed into one where the checkpoint is quantised."""
    n_tensors: int


def check_files(name: str, folder: Path) -> None:
    """Refuse what is no file of the folder, and JSON that loaders would replace by a default.

    Raises:
        BrokenModelError: Something to be read is no regular file, lies elsewhere, or is not JSON.
    """
    beside = folder / CHAT_TEMPLATE_DIR
    for path in sorted((*folder.iterdir(), *(beside.iterdir() if beside.is_dir() else ()))):
        if path.name.endswith(READ_BY_LOADERS) and not path.is_dir():
            check_regular(name, folder, path)
            if not path.name.endswith(".safetensors"):
                check_text_file(name, path)
    for file in SMALL_JSON:
        if (folder / file).exists():
            said = read_json(name, folder / file)
            if file == "config.json":
                check_labels(name, said)
    if (folder / "tokenizer.json").exists():
        check_replacements(name, folder / "tokenizer.json")


def check_regular(name: str, folder: Path, path: Path) -> None:
    """Refuse a path that is no regular file inside the folder or its Hub cache.

    Raises:
        BrokenModelError: It is something else, or elsewhere.
    """
    real = os.path.realpath(path)
    homes = [os.path.realpath(folder), os.path.realpath(constants.HF_HUB_CACHE)]
    if folder.parent.name == "snapshots":
        homes.append(os.path.realpath(folder.parents[1] / "blobs"))
    shown = os.path.relpath(path, folder)
    if not any(os.path.commonpath([home, real]) == home for home in homes):
        raise BrokenModelError(
            f"{name} names a file outside its folder ({shown}), which Inlook does not open: copy "
            "the file into the folder."
        )
    if not os.path.exists(real):
        raise BrokenModelError(f"{name} lacks a file that it names: {shown} is missing.")
    if not os.path.isfile(real):
        raise BrokenModelError(f"{name} cannot be read: its {shown} is no regular file.")


def read_json(name: str, path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        BrokenModelError: It holds something else, or is too large to be read.
    """
    check_text_file(name, path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise BrokenModelError(
            f"The {path.name} of {name} is not valid JSON: {reason(error)}."
        ) from error
    if not isinstance(found, dict):
        raise BrokenModelError(
            f"The {path.name} of {name} is no JSON object, but a {type(found).__name__}."
        )
    return found


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """Return what config.json says, before transformers completes it.

    Raises:
        ModelNotFoundError: There is none; the message says what the folder holds instead.
        BrokenModelError: It is not JSON, or names no type.
    """
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(
            f"{name} has no config.json: choose a folder that holds a Hugging Face model."
        )
    config = read_json(name, folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise BrokenModelError(
            f"The config.json of {name} does not say which type of model it is: it lacks the key "
            "model_type."
        )
    return config


def names_weights(folder: Path) -> bool:
    """Tell whether a folder has weights of a whole model, or names some."""
    return any(os.path.lexists(folder / file) for file in (SINGLE, INDEX))


def weight_files(name: str, folder: Path) -> tuple[Path, ...]:
    """List the weight files that transformers would open, each a regular file of the folder.

    Raises:
        BrokenModelError: There are none, none in safetensors format, or one is missing.
    """
    if os.path.lexists(folder / SINGLE):
        files = [folder / SINGLE]
    elif os.path.lexists(folder / INDEX):
        check_regular(name, folder, folder / INDEX)
        index = read_json(name, folder / INDEX).get("weight_map")
        named = list(index.values()) if isinstance(index, dict) else []
        if not named or not all(isinstance(file, str) and file for file in named):
            raise BrokenModelError(
                f"The {INDEX} of {name} names no weight files: its weight_map is missing or empty."
            )
        files = [folder / file for file in sorted(set(named))]
    else:
        raise no_weights(name, [path.name for path in folder.iterdir()])
    for file in files:
        check_regular(name, folder, file)
    return tuple(files)


def no_weights(name: str, files: Iterable[str]) -> BrokenModelError:
    """Say why there are no weights among some files."""
    files = sorted(files)
    if any(file.endswith(PICKLES) for file in files):
        return BrokenModelError(
            f"{name} has its weights only as pickle files, which can run code when opened: "
            "convert them to safetensors first, where you trust them (in Python: "
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder))."
        )
    others = [file for file in files if file.endswith(".safetensors")]
    beside = f", only {others[0]}" if others else ""
    return BrokenModelError(f"{name} has no weights: there is no {SINGLE} in it{beside}.")


def read_weights(name: str, files: Iterable[Path]) -> Weights:
    """Read the headers of weight files.

    Raises:
        BrokenModelError: One is not whole.
    """
    n_bytes = n_weights = n_tensors = 0
    for path in files:
        try:
            n_bytes += path.stat().st_size
            with safe_open(path, framework="numpy") as tensors:
                shapes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise BrokenModelError(
                f"The {path.name} of {name} is not a whole safetensors file: "
                f"{reason(error, path.parent)}."
            ) from error
        n_tensors += len(shapes)
        n_weights += sum(map(math.prod, shapes))
    return Weights(n_bytes, n_weights, n_tensors)


def check_layer_counts(name: str, config: dict[str, Any], n_tensors: int) -> None:
    """Refuse a config that describes more layers than the weight files have tensors.

    It is asked before anything is built by that config: a number costs nothing to write.

    Raises:
        BrokenModelError: It does.
    """
    for key, value in config.items():
        if isinstance(value, dict):
            check_layer_counts(name, value, n_tensors)
        elif _LAYER_COUNT.fullmatch(key) and isinstance(value, int) and value > max(n_tensors, 1):
            raise BrokenModelError(
                f"The config.json of {name} describes another model than its weights: it says "
                f"{key} = {value}, but they are {n_tensors} tensors in all."
            )
