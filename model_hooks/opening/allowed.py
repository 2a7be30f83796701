"""Which models may be opened in this process, and how much may be fetched for one?

All, unless somebody who lets strangers type names has said otherwise. It is asked before anything
is looked for on the disk, and a refusal is the same for what exists and what does not.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import constants

from model_hooks.errors import ModelNotFoundError, ModelTooLargeError
from model_hooks.opening.names import with_adapter

DISK_SHARE = 0.9
"""Of the free disk, how much one model may fill."""

_allowed: frozenset[str] | None = None
_most_bytes: float = float("inf")


def allow_only(names: Iterable[str] | None) -> None:
    """Open these models and tokenizers alone from now on; None allows all."""
    global _allowed
    _allowed = None if names is None else frozenset(names)


def check_allowed(name: str) -> None:
    """Refuse a name that is not on the list.

    Raises:
        ModelNotFoundError: It is not, whether or not there is such a model.
    """
    if _allowed is not None and with_adapter(name) not in _allowed:
        raise ModelNotFoundError(
            "This server opens only the models on its list: choose one in the sidebar."
        )


def limit_downloads(n_bytes: float) -> None:
    """Fetch no model that is larger from now on."""
    global _most_bytes
    _most_bytes = n_bytes


def check_download(name: str, n_bytes: int) -> None:
    """Refuse to fetch what is larger than may be fetched, or than the disk has room for.

    Raises:
        ModelTooLargeError: It is.
    """
    size = f"{name} would be a download of {n_bytes / 1e9:.1f} GB"
    if n_bytes > _most_bytes:
        raise ModelTooLargeError(
            f"{size}, and this server fetches no more than {_most_bytes / 1e9:g} GB: choose a "
            "smaller model."
        )
    if n_bytes > DISK_SHARE * (free := _free_disk(Path(constants.HF_HUB_CACHE))):
        raise ModelTooLargeError(
            f"{size}, but only {free / 1e9:.1f} GB of the disk are free: make room, or choose a "
            "smaller model."
        )


def _free_disk(folder: Path) -> float:
    """Return the free bytes where a folder is, or will be."""
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    return float(shutil.disk_usage(folder).free)
