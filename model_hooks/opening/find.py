"""Where are the files of what a name stands for: a folder, or a repository of the Hub?

A repository is fetched first, only what loaders read, and is a folder from then on: what can be
wrong with one is then said in the same way.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from model_hooks.errors import BrokenModelError, ModelError, ModelNotFoundError
from model_hooks.opening.allowed import check_download
from model_hooks.opening.files import (
    INDEX,
    READ_BY_LOADERS,
    SINGLE,
    in_gguf,
    no_weights,
)
from model_hooks.opening.hub import model_info
from model_hooks.opening.reasons import reason


class Listed(NamedTuple):
    """What the Hub says about a repository."""

    n_bytes: int
    """Of the weight files that would be fetched."""
    n_weights: int | None
    """Numbers in its weights, where the Hub knows."""


def local_folder(name: str) -> Path | None:
    """Return the folder that a name stands for; None for a Hub id.

    Raises:
        ModelNotFoundError: It is neither; the message says what it is instead.
    """
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            raise _only_a_file(name, path)
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, no such home
        pass
    try:
        validate_repo_id(name)
    except HFValidationError:
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise ModelNotFoundError(
            f"There is no folder {shown!r}, and it is no Hub id either: check the spelling."
        ) from None
    return None


def _only_a_file(name: str, path: Path) -> ModelNotFoundError:
    if path.suffix == ".gguf":
        return in_gguf(f"{name} is a file")
    return ModelNotFoundError(
        f"{name} is a file: choose the folder that holds it, with its config.json and tokenizer."
    )


def fetched_folder(
    name: str, *, weights: bool, check: Callable[[Listed], None] = lambda listed: None
) -> Path:
    """Fetch a repository of the Hub, as far as it is not on this computer, and return its folder.

    Args:
        name: Its Hub id.
        weights: Whether its weights are wanted.
        check: Called with what the Hub says before weights are fetched.

    Raises:
        ModelNotFoundError: There is none of that name, it is gated, or cannot be reached.
        BrokenModelError: It has no weights that may be opened.
    """
    try:
        info = model_info(name, files=weights)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        wanted = [file for file in sizes if _is_read(file) and not file.endswith(".safetensors")]
        if weights:
            opened = _weights_among(name, sizes)
            n_bytes = sum(sizes[file] for file in opened)
            check(Listed(n_bytes, getattr(info.safetensors, "total", None)))
            wanted += opened
        check_download(name, sum(sizes[file] for file in wanted))
        return Path(snapshot_download(name, revision=info.sha, allow_patterns=wanted))
    except ModelError:
        raise
    except Exception as error:
        gone = isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)
        if not gone and (kept := _kept_folder(name)) is not None:
            return kept
        raise _why_not_fetched(name, error) from error


def _is_read(file: str) -> bool:
    return "/" not in file and file.endswith(READ_BY_LOADERS)


def _weights_among(name: str, files: Iterable[str]) -> list[str]:
    """List the files of a repository that hold the weights which would be opened."""
    files = list(files)
    if SINGLE in files:
        return [SINGLE]
    if INDEX in files:
        return [f for f in files if f.startswith("model") and f.endswith(".safetensors")]
    if "adapter_config.json" in files:  # what that is will be said of the folder
        return []
    if "config.json" in files:
        raise no_weights(name, files)
    if any(file.endswith(".gguf") for file in files):
        raise in_gguf(f"{name} holds a model")
    return []


def _kept_folder(name: str) -> Path | None:
    """Return the folder in which an earlier visit left a repository."""
    for file in ("config.json", "tokenizer_config.json", "tokenizer.json", "adapter_config.json"):
        if isinstance(found := try_to_load_from_cache(name, file), str):
            return Path(found).parent
    return None


def _why_not_fetched(name: str, error: Exception) -> ModelError:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) or (
        status in (401, 403) and not isinstance(error, RepositoryNotFoundError)
    ):
        return ModelNotFoundError(
            f"{name} is gated or private: log in with `hf auth login` after its owner let you in."
        )
    if isinstance(error, RepositoryNotFoundError):
        return ModelNotFoundError(
            f"There is no model called {name}, neither bundled nor on the Hugging Face Hub (or it "
            "is private): check the spelling."
        )
    if isinstance(error, OSError) and "No space left" in str(error):
        return BrokenModelError(f"{name} could not be fetched: the disk is full.")
    if status is not None:
        return ModelNotFoundError(
            f"{name} could not be fetched from the Hugging Face Hub: {reason(error)}."
        )
    return ModelNotFoundError(
        f"{name} is not on this computer and the Hugging Face Hub cannot be reached: check "
        "the name and the connection, or choose a bundled model."
    )
