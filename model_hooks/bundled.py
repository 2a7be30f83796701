"""Which models come with Inlook, how large they are, and how were they trained?

Read without loading them.
"""

import contextlib
import functools
import json
from typing import Any, NamedTuple

from model_hooks.errors import BrokenModelError
from model_hooks.loading import BUNDLED, bundled_adapters, bundled_models
from model_hooks.opening.adapters import WEIGHTS, read_adapter
from model_hooks.opening.files import read_weights, weight_files
from model_hooks.opening.gguf_files import read_gguf
from model_hooks.opening.installed import installed_models
from model_hooks.read.cache_sizes import DTYPES, LayerSizes

TRAINING = BUNDLED / "training.json"
"""What is shown of training; `training/shown.py` writes it."""


class BundledModel(NamedTuple):
    """A checkpoint in models/ and its sizes."""

    name: str
    n_parameters: int
    n_bytes: int


class TrainingRun(NamedTuple):
    """One run of training: what was special about it, and where it led."""

    name: str
    """The bundled model's, where the run made one."""
    compared_with: str | None
    """The run that it differs from in one choice, if there is one."""
    change: str | None
    """That choice, in words."""
    trained_length: int
    """Tokens of the longest texts that it trained on."""
    bits_per_byte: float | None
    """The finished model's, on stories that it had never seen; None if that was not measured."""
    steps: tuple[int, ...]
    """Where its first seed's loss was noted."""
    train_losses: tuple[float, ...]
    """That loss, in nats per token."""
    final_bits_per_byte: tuple[float, ...]
    """Where each seed ended, on fewer of the unseen stories."""


@functools.cache
def training_runs() -> tuple[TrainingRun, ...]:
    """List the runs of training that are known here, in the order of their design.

    The storyteller, its twins from the design of 2017 on, and the runs about warm-up; none where
    what is known of training did not come along.
    """
    if not TRAINING.is_file():
        return ()
    found = json.loads(TRAINING.read_text(encoding="utf-8"))
    return tuple(
        TrainingRun(name, **{key: _frozen(value) for key, value in run.items()})
        for name, run in found.items()
    )


def training_run(name: str) -> TrainingRun | None:
    """Return the run of training that made a bundled model; None if it is not known."""
    return next((run for run in training_runs() if run.name == name), None)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.cache
def bundled_sizes() -> tuple[BundledModel, ...]:
    """List the checkpoints in models/, read from the headers of their weight files.

    A folder there whose weights are not whole is left out.
    """
    found = []
    for name, folder in bundled_models().items():
        with contextlib.suppress(BrokenModelError, OSError):
            weights = read_weights(name, weight_files(name, folder))
            found.append(BundledModel(name, weights.n_weights, weights.n_bytes))
    return tuple(found)


@functools.cache
def adapted_sizes() -> tuple[BundledModel, ...]:
    """List the adapters in models/: the parameters of the models they change, their own bytes.

    One that is not whole, or whose model is not there, is left out.
    """
    of = {model.name: model for model in bundled_sizes()}
    found = []
    for name, folder in bundled_adapters().items():
        with contextlib.suppress(BrokenModelError, OSError):
            adapter = read_adapter(name, folder)
            if adapter is not None and adapter.base in of:
                n_bytes = (folder / WEIGHTS).stat().st_size
                found.append(BundledModel(name, of[adapter.base].n_parameters, n_bytes))
    return tuple(found)


@functools.cache
def installed_sizes() -> tuple[BundledModel, ...]:
    """List the models that were installed as packages, read from the headers of their files.

    A file that is not whole is left out.
    """
    found = []
    for name, path in installed_models().items():
        with contextlib.suppress(BrokenModelError, OSError):
            file = read_gguf(name, path)
            found.append(BundledModel(name, file.n_weights, file.n_bytes))
    return tuple(found)


def models_at_hand() -> tuple[BundledModel, ...]:
    """List the models that open without a download: those that came along or were installed."""
    return *bundled_sizes(), *adapted_sizes(), *installed_sizes()


def cache_bytes_per_token(name: str, dtype: str = "float16") -> int:
    """Return the bytes of keys and values per token of a bundled model, by its config.

    Args:
        name: A model of `bundled_models`.
        dtype: The format that they are kept in, one of `DTYPES`.

    Raises:
        KeyError: There is no such model or format.
    """
    config = json.loads((bundled_models()[name] / "config.json").read_text(encoding="utf-8"))
    n_heads = config["num_attention_heads"]
    n_kv_heads = config.get("num_key_value_heads") or n_heads
    d_head = config.get("head_dim") or config["hidden_size"] // n_heads
    layer = LayerSizes(n_kv_heads, d_head, d_head, DTYPES[dtype])
    return round(config["num_hidden_layers"] * layer.n_bytes(1))
