"""What does a file in GGUF format (llama.cpp's) hold, and which file does a name stand for?

Only headers are read here; `unpacked.py` turns such a file into a folder.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader
from transformers.integrations.gguf.reader import GgufHeader, read_gguf_metadata

from model_hooks.errors import BrokenModelError, ModelNotFoundError
from model_hooks.opening.reasons import reason

SUFFIX = ".gguf"
LISTED = 6
"""Files that a sentence names at the most."""
_PLAIN = ("F64", "F32", "F16", "BF16")
_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")


class GgufFile(NamedTuple):
    """What the header of a GGUF file says."""

    n_weights: int
    """Numbers in its tensors."""
    n_bytes: int
    """Of the whole file."""
    quantisation: str
    """How most of its weights are stored, by llama.cpp's name: `Q4_1`."""
    is_quantised: bool
    """Whether that is fewer bits than a number format has."""
    end_ids: tuple[int, ...]
    """The token IDs that end a text or a turn."""
    licence: str | None
    """What it says itself."""


def is_gguf(path: Path) -> bool:
    """Tell whether a path is called as GGUF files are."""
    return path.name.lower().endswith(SUFFIX)


def split_name(name: str) -> tuple[str, str] | None:
    """Return the repository and the file of a name such as `org/model:model.Q4_0.gguf`."""
    repository, _, file = name.rpartition(":")
    return (repository, file) if repository and file.lower().endswith(SUFFIX) else None


def only_one(name: str, files: Iterable[str], between: str) -> str:
    """Return the one GGUF file among those of a folder or a repository.

    Args:
        name: What holds them.
        files: Their names; at least one.
        between: What is written between the name and a file to choose it: `/` or `:`.

    Raises:
        ModelNotFoundError: There are several; the message says how to choose one.
    """
    found = sorted(file for file in files if file.lower().endswith(SUFFIX))
    if len(found) == 1 or all(map(_PART.search, found)):
        return found[0]
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    raise ModelNotFoundError(
        f"{name} holds {len(found)} GGUF files: name one, as in {name}{between}{found[0]} "
        f"(there are {', '.join(found[:LISTED])}{more})."
    )


def read_gguf(name: str, path: Path) -> GgufFile:
    """Read the header of a GGUF file.

    Raises:
        BrokenModelError: It is not whole, or only a part of a model.
    """
    if part := _PART.search(path.name):
        raise BrokenModelError(
            f"{name} is one of {int(part[1])} parts of a GGUF file, and transformers reads whole "
            "ones only: join them first (llama-gguf-split --merge)."
        )
    try:
        said, _ = read_gguf_metadata(str(path))
        kinds = _kinds(path)
    except Exception as error:
        raise BrokenModelError(
            f"{name} is not a whole file in GGUF format: {reason(error, path.parent)}."
        ) from error
    (most, _), *_ = kinds.most_common(1) or [("F32", 0)]
    return GgufFile(
        n_weights=kinds.total(),
        n_bytes=path.stat().st_size,
        quantisation=most,
        is_quantised=most not in _PLAIN,
        end_ids=_end_ids(said),
        licence=str(said["general.license"]) if "general.license" in said else None,
    )


def bits_per_weight(quantisation: str) -> float:
    """Return how many bits a weight takes in one of llama.cpp's ways to store it."""
    n_weights, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[quantisation]]
    return 8 * n_bytes / n_weights


def _end_ids(said: dict[str, Any]) -> tuple[int, ...]:
    found = [said.get(f"tokenizer.ggml.{key}") for key in _ENDS]
    return tuple(dict.fromkeys(one for one in found if isinstance(one, int)))


def _kinds(path: Path) -> Counter[str]:
    """Count the numbers that are stored in each way.

    Raises:
        Exception: Whatever a reader says of a file that is not whole.
    """
    kinds, end = Counter[str](), 0
    try:
        header = GgufHeader.from_file(str(path))
    except ValueError:  # a way that transformers leaves to gguf's own reader, which is slow
        for tensor in GGUFReader(path).tensors:
            kinds[tensor.tensor_type.name] += int(tensor.n_elements)
        return kinds
    for tensor in header.tensors:
        kinds[GGMLQuantizationType(tensor.ggml_type).name] += math.prod(tensor.shape)
        end = max(end, header.data_start + tensor.offset + tensor.nbytes)
    if (n_bytes := path.stat().st_size) < end:
        raise ValueError(f"its tensors take {end:,} bytes, but it ends after {n_bytes:,}")
    return kinds
