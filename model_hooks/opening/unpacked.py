"""How does a GGUF file become a folder that opens like any other, once and for all?

transformers turns its weights back into plain numbers, which takes half a minute where a folder
takes two seconds. So what it made is kept in the user's cache folder: written aside and renamed
when it is whole, with a checksum of each file, so that a copy that was cut off or changed is made
anew.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers import __version__ as transformers_version

from model_hooks.errors import InlookError, ModelTooLargeError
from model_hooks.opening.compared import load_checked
from model_hooks.opening.gguf_files import GgufFile
from model_hooks.opening.gguf_stated import take_as_stated
from model_hooks.opening.progress import reporting
from model_hooks.opening.reasons import explain

SUMS = "checksums.json"
KEPT_BYTES = 8 * 10**9
"""What all copies together may take; the newest stays in any case."""
OLD_S = 24 * 3600.0
"""Whatever was written aside so long ago was cut off."""
WAY = 2
"""Of converting: one more whenever the same file becomes another model."""
_CHUNK = 2**24


def cache_folder() -> Path:
    """Return where converted models are kept: `inlook/models` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "inlook" / "models"


def unpacked(name: str, path: Path, file: GgufFile, room: float) -> Path:
    """Return a folder with the model of a GGUF file; made, if it is not there yet.

    Args:
        name: What the visitor called the model.
        path: The file.
        file: What its header says.
        room: Bytes of memory that weights may take.

    Raises:
        ModelTooLargeError: There is too little memory or disk for the numbers in full.
        InlookError: transformers cannot read it; the message says why.
    """
    dtype = torch.float32 if 4 * file.n_weights <= room else torch.bfloat16
    copy = cache_folder() / _key(path, dtype)
    if is_whole(copy):
        os.utime(copy)
        return copy
    if dtype.itemsize * file.n_weights > room:
        raise ModelTooLargeError(
            f"{name} needs about {2 * file.n_weights / 1e9:.1f} GB for its weights once they are "
            f"unpacked, but only {room / 1e9:.1f} GB of memory are free: choose a smaller model."
        )
    _make_room(name, dtype.itemsize * file.n_weights)
    aside = Path(tempfile.mkdtemp(prefix=".", dir=cache_folder()))
    try:
        _convert(name, path, file, dtype, aside)
        (aside / SUMS).write_text(json.dumps(_sums(aside)), encoding="utf-8")
        shutil.rmtree(copy, ignore_errors=True)
        aside.rename(copy)
    except InlookError:
        raise
    except Exception as error:
        if is_whole(copy):  # somebody else was faster
            return copy
        raise explain(name, path.parent, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return copy


def is_unpacked(path: Path) -> bool:
    """Tell whether there is a folder for a GGUF file already, whole or not."""
    return any(cache_folder().glob(f"{_digest(path)}-*"))


def is_whole(copy: Path) -> bool:
    """Tell whether a converted model is as it was written."""
    try:
        return json.loads((copy / SUMS).read_text(encoding="utf-8")) == _sums(copy)
    except (OSError, ValueError):
        return False


def _key(path: Path, dtype: torch.dtype) -> str:
    """Name the copy of a file by what it holds and by what converted it."""
    way = f"{transformers_version}-{WAY}"
    return f"{_digest(path)}-{str(dtype).removeprefix('torch.')}-{way}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:24]


def _sums(folder: Path) -> dict[str, int]:
    return {path.name: _sum(path) for path in sorted(folder.iterdir()) if path.name != SUMS}


def _sum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def _convert(name: str, path: Path, file: GgufFile, dtype: torch.dtype, target: Path) -> None:
    where: Any = {"gguf_file": path.name, "trust_remote_code": False}
    with reporting(name):
        config = AutoConfig.from_pretrained(str(path.parent), **where)
        take_as_stated(config, path)
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
        model: Any = load_checked(
            name, path.parent, config=config, dtype=dtype, gguf_file=path.name
        )
    for of in (model.config, config):
        of.__dict__.pop("quantization_config", None)  # what it is now is plain
    model.hf_quantizer, model.is_quantized = None, False
    model.generation_config = GenerationConfig.from_model_config(model.config)
    if file.end_ids:
        model.generation_config.eos_token_id = list(file.end_ids)
    model.save_pretrained(target, max_shard_size="2GB")
    tokenizer.save_pretrained(target)


def _make_room(name: str, needed: float) -> None:
    """Drop what was cut off, and the copies that were used longest ago.

    Raises:
        ModelTooLargeError: The disk has too little room.
    """
    home = cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    for path in home.glob(".*"):
        if time.time() - path.stat().st_mtime > OLD_S:
            shutil.rmtree(path, ignore_errors=True)
    copies = sorted((p for p in home.glob("[!.]*") if p.is_dir()), key=lambda p: p.stat().st_mtime)
    sizes = {copy: sum(file.stat().st_size for file in copy.iterdir()) for copy in copies}
    taken = sum(sizes.values())
    while copies and taken + needed > KEPT_BYTES:
        taken -= sizes[copies[0]]
        shutil.rmtree(copies.pop(0), ignore_errors=True)
    if (free := shutil.disk_usage(home).free) < needed:
        raise ModelTooLargeError(
            f"{name} needs {needed / 1e9:.1f} GB on the disk once its weights are unpacked, but "
            f"{home} has only {free / 1e9:.1f} GB left: make room, or set XDG_CACHE_HOME to a "
            "folder on another disk."
        )
