"""Which versions made something that is taken away?"""

import platform
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
"""What the numbers of a run may depend on."""


@cache
def inlook_version() -> str:
    """Return Inlook's own version, which `pyproject.toml` says."""
    return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])


@cache
def versions() -> dict[str, str]:
    """Return the versions of Inlook, of Python and of `LIBRARIES`, by name."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"inlook": inlook_version(), "python": platform.python_version(), **libraries}
