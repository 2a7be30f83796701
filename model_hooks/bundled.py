"""Which models come with Inlook, and how large they are, read without loading them."""

import functools
import math
from typing import NamedTuple

from safetensors import safe_open

from model_hooks.loading import bundled_models


class BundledModel(NamedTuple):
    """A checkpoint in models/ and its sizes."""

    name: str
    n_parameters: int
    n_bytes: int


@functools.cache
def bundled_sizes() -> tuple[BundledModel, ...]:
    """List the checkpoints in models/, read from the headers of their weight files."""
    found = []
    for name, folder in bundled_models().items():
        n_parameters = n_bytes = 0
        for weights in folder.glob("*.safetensors"):
            n_bytes += weights.stat().st_size
            with safe_open(weights, framework="numpy") as tensors:
                shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
            n_parameters += sum(map(math.prod, shapes))
        found.append(BundledModel(name, n_parameters, n_bytes))
    return tuple(found)
