"""Where are the files of what a name stands for: a folder, a file, or a repository of the Hub?

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
    no_weights,
)
from model_hooks.opening.gguf_files import LISTED, is_gguf, only_one
from model_hooks.opening.hub import model_info
from model_hooks.opening.reasons import reason


class Listed(NamedTuple):
    """What the Hub says about a repository."""

    n_bytes: int
    """Of the weight files that would be fetched."""
    n_weights: int | None
    """Numbers in its weights, where the Hub knows."""


def local_folder(name: str) -> Path | None:
    """Return the folder, or the GGUF file, that a name stands for; None for a Hub id.

    Raises:
        ModelNotFoundError: It is neither; the message says what it is instead.
    """
    path = local_path(name)
    if path is not None and path.is_dir():
        return _gguf_alone(name, path) or path
    if path is not None and is_gguf(path):
        return path
    if path is not None and path.is_file():
        raise _only_a_file(name)
    try:
        validate_repo_id(name)
    except HFValidationError:
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise ModelNotFoundError(
            f"There is no folder {shown!r}, and it is no Hub id either: check the spelling."
        ) from None
    return None


def local_path(name: str) -> Path | None:
    """Return the folder or file that is called so; None if there is none."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, no such home
        return None


def _gguf_alone(name: str, folder: Path) -> Path | None:
    """Return the GGUF file of a folder that has no other weights."""
    files = {path.name for path in folder.iterdir()}
    if files & {SINGLE, INDEX, "adapter_config.json"} or not any(map(is_gguf, map(Path, files))):
        return None
    return folder / only_one(name, files, "/")


def _only_a_file(name: str) -> ModelNotFoundError:
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
        opened = _weights_among(name, sizes) if weights else []
        if weights:
            n_bytes = sum(sizes[file] for file in opened)
            check(Listed(n_bytes, getattr(info.safetensors, "total", None)))
            wanted += opened
        check_download(name, sum(sizes[file] for file in wanted))
        folder = Path(snapshot_download(name, revision=info.sha, allow_patterns=wanted))
        return folder / opened[0] if opened and is_gguf(Path(opened[0])) else folder
    except ModelError:
        raise
    except Exception as error:
        if not _is_gone(error) and (kept := _kept_folder(name)) is not None:
            return kept
        raise _why_not_fetched(name, error) from error


def fetched_gguf(repository: str, file: str, check: Callable[[Listed], None]) -> Path:
    """Return one GGUF file of a folder, or of a repository of the Hub, from where it is fetched.

    Args:
        repository: A folder or a Hub id.
        file: The name of the file in it.
        check: Called with what the Hub says before the file is fetched.

    Raises:
        ModelNotFoundError: There is no such repository or file, or the Hub cannot be reached.
    """
    if (local := local_path(repository)) is not None:
        if (local / file).is_file():
            return local / file
        raise ModelNotFoundError(f"There is no {file} in {repository}.")
    try:
        info = model_info(repository, files=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or []}
        if file not in sizes:
            raise _no_such_gguf(repository, file, sizes)
        check(Listed(sizes[file], None))
        check_download(repository, sizes[file])
        return Path(snapshot_download(repository, revision=info.sha, allow_patterns=[file])) / file
    except ModelError:
        raise
    except Exception as error:
        kept = None if _is_gone(error) else try_to_load_from_cache(repository, file)
        if isinstance(kept, str):
            return Path(kept)
        raise _why_not_fetched(repository, error) from error


def _is_gone(error: Exception) -> bool:
    return isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)


def _no_such_gguf(repository: str, file: str, files: Iterable[str]) -> ModelNotFoundError:
    there = sorted(filter(lambda one: is_gguf(Path(one)), files))
    others = f": there are {', '.join(there[:LISTED])}" if there else ", nor any other GGUF file"
    return ModelNotFoundError(f"There is no {file} in {repository}{others}.")


def _is_read(file: str) -> bool:
    return "/" not in file and file.endswith(READ_BY_LOADERS)


def _weights_among(name: str, files: Iterable[str]) -> list[str]:
    """List the files of a repository that hold the weights which would be opened."""
    files = list(files)
    adapter = [file for file in files if file == "adapter_model.safetensors"]
    if SINGLE in files:
        return [SINGLE, *adapter]
    if INDEX in files:
        shards = [f for f in files if f.startswith("model") and f.endswith(".safetensors")]
        return [*shards, *adapter]
    if "adapter_config.json" in files:
        return adapter
    if any(is_gguf(Path(file)) for file in files):
        return [only_one(name, files, ":")]
    if "config.json" in files:
        raise no_weights(name, files)
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
