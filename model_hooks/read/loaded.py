"""How does a file that `saved.py` wrote become a trace again, or one sentence why it does not?

Files come from anywhere: nothing in one is believed before it has been looked at.
"""

import json
import os
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_hooks.arrays import read_only
from model_hooks.errors import InlookError, TraceFileError
from model_hooks.loading import MEMORY_SHARE, free_bytes
from model_hooks.read.saved import FORMAT, FORMAT_VERSION, KINDS, LAYER_PARTS
from model_hooks.run.attention import ReturnedWeights
from model_hooks.run.interventions import Intervention, intervention_kinds
from model_hooks.run.trace import LayerTrace, Trace

NUMBERS = {"F32": np.float32, "F64": np.float64}
MAY_BE_MISSING = ("query", "key", "value", "resid_mid")
ANY_LENGTH = ("query", "key", "value")
"""Some families have more keys than positions."""


@dataclass(frozen=True, eq=False)
class SavedWeights(ReturnedWeights):
    """The weights of one attention layer, as a file holds them."""

    scale: float | None = None
    softcap: float | None = None
    mask: Bool[Tensor, "new key"] | None = None
    """Which keys a query may read in any head."""

    @property
    def mask_id(self) -> int:
        """Equal for layers of one file that were given the same mask."""
        return id(self.mask)

    def readable(self, rows: range | None = None) -> Bool[Tensor, "row key"]:
        """Return which keys each query, or some of them, may read in any head."""
        if self.mask is None:
            return super().readable(rows)
        return self.mask if rows is None else self.mask[rows.start : rows.stop]


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace from a file of `save_trace`'s; equal to what was saved, bit for bit.

    No model is needed. Together with the model that it is of, everything can be asked of it that
    can be asked of the trace that was saved.

    Raises:
        TraceFileError: There is no such file, it is damaged, no trace of Inlook's, of a later
            version, or too large for the free memory.
    """
    try:
        path = Path(path)
    except TypeError as error:
        raise TraceFileError(f"{reprlib.repr(path)} is no file's name.") from error
    try:
        if not path.is_file():
            raise TraceFileError(f"There is no file {reprlib.repr(str(path))}.")
        size, room = path.stat().st_size, MEMORY_SHARE * free_bytes("cpu")
        if size > room:
            raise TraceFileError(
                f"{path.name} takes {size / 1e9:.1f} GB, but only {room / 1e9:.1f} GB of memory "
                "are free."
            )
        with safe_open(path, framework="numpy") as file:
            return _Reader(path.name, file).trace()
    except InlookError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise TraceFileError(f"{path.name} is no safetensors file, or a damaged one.") from error


class _Reader:
    """Reads one file, and refuses what does not fit together."""

    def __init__(self, name: str, file: Any) -> None:
        self._name, self._file = name, file
        self._told: Mapping[str, str] = file.metadata() or {}
        self._there = set(file.keys())

    def trace(self) -> Trace:
        self._check_format()
        ids, tokens = self._array("token_ids", {"I64": np.int64}, 1), self._texts("tokens")
        if not len(ids) == len(tokens) > 0:
            raise self._wrong(f"it has {len(ids)} token IDs, but {len(tokens)} tokens")
        masks: dict[int, Tensor] = {}
        told = self._json("layers")
        if not isinstance(told, list) or not told:
            raise self._wrong("it does not say which layers it has")
        layers = [self._layer(i, one, len(ids), masks) for i, one in enumerate(told)]
        if len({layer.resid_pre.shape for layer in layers}) > 1:
            raise self._wrong("its layers are of different widths")
        return Trace(
            token_ids=ids,
            tokens=tokens,
            layers=tuple(layers),
            last_logits=self._array("last_logits", NUMBERS, 1),
            interventions=self._interventions(),
            next_tokens=self._texts("next_tokens"),
        )

    def _check_format(self) -> None:
        if self._told.get("format") != FORMAT:
            raise TraceFileError(
                f"{self._name} is a safetensors file, but no trace that Inlook saved."
            )
        said = self._told.get("format_version", "")
        if said != str(FORMAT_VERSION):
            raise TraceFileError(
                f"{self._name} was written in format {said[:20]!r}, and this Inlook reads format "
                f"{FORMAT_VERSION}: take the version of Inlook that wrote it, or a later one."
            )

    def _layer(self, i: int, told: Any, n_pos: int, masks: dict[int, Tensor]) -> LayerTrace:
        parts = {part: self._part(i, part, n_pos) for part in (*LAYER_PARTS, "resid_mid")}
        if len({part.shape for part in parts.values() if part is not None and part.ndim == 2}) > 1:
            raise self._wrong(f"the parts of layer {i} are of different widths")
        return LayerTrace(
            layer=i,
            _calls=self._calls(i, told, n_pos, masks),
            _resid_mid=parts.pop("resid_mid"),
            **parts,  # pyright: ignore[reportArgumentType] (`_part` lets only some be None)
        )

    def _part(self, i: int, part: str, n_pos: int) -> np.ndarray | None:
        name = f"layers.{i}.{part}"
        if part in MAY_BE_MISSING and name not in self._there:
            return None
        array = self._array(name, NUMBERS, len(KINDS[part].axes.split()))
        if part not in ANY_LENGTH and len(array) != n_pos:
            raise self._wrong(f"{name} has {len(array)} positions instead of {n_pos}")
        return array

    def _calls(
        self, i: int, told: Any, n_pos: int, masks: dict[int, Tensor]
    ) -> tuple[SavedWeights, ...]:
        if not isinstance(told, dict):
            raise self._wrong(f"it does not say what layer {i} is")
        if told.get("mask") is None:
            return ()
        name = f"layers.{i}.attention"
        weights = self._read(name, NUMBERS, 3)
        if weights.shape[1:] != (n_pos, n_pos) or not len(weights):
            raise self._wrong(f"{name} is of another length than the text")
        scale, softcap, number = (told.get(key) for key in ("scale", "softcap", "mask"))
        if not all(one is None or isinstance(one, int | float) for one in (scale, softcap)):
            raise self._wrong(f"the scale of layer {i} is no number")
        if not isinstance(number, int):
            raise self._wrong(f"layer {i} has no mask")
        if number not in masks:
            mask = self._read(f"masks.{number}.mask", {"BOOL": np.bool_}, 2)
            if mask.shape != (n_pos, n_pos):
                raise self._wrong(f"mask {number} is of another length than the text")
            masks[number] = torch.from_numpy(mask)
        tensor = torch.from_numpy(weights)[None]
        return (SavedWeights(tensor, None, scale, softcap, masks[number]),)

    def _read(self, name: str, types: Mapping[str, Any], n_dims: int) -> np.ndarray:
        if name not in self._there:
            raise self._wrong(f"{name} is missing")
        found = self._file.get_slice(name)
        shape, kind = found.get_shape(), found.get_dtype()
        if kind not in types or len(shape) != n_dims:
            raise self._wrong(f"{name} is {kind} of shape {shape}")
        return self._file.get_tensor(name)

    def _array(self, name: str, types: Mapping[str, Any], n_dims: int) -> np.ndarray:
        return read_only(self._read(name, types, n_dims))

    def _texts(self, name: str) -> tuple[str, ...]:
        found = self._json(name)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._wrong(f"its {name} are no texts")
        return tuple(found)

    def _interventions(self) -> tuple[Intervention, ...]:
        told = self._json("interventions")
        if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
            raise self._wrong("it does not say what was changed in the run")
        return tuple(self._intervention(one) for one in told)

    def _intervention(self, told: dict[str, Any]) -> Intervention:
        given = {name: tuple(x) if isinstance(x, list) else x for name, x in told.items()}
        make: Callable[..., Intervention] | None
        make = intervention_kinds().get(str(given.pop("intervention", "")))
        try:
            if make is not None:
                return make(**given)
        except (TypeError, InlookError):
            pass
        raise self._wrong("it names a change of the run that this Inlook does not know")

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._told.get(name, ""))
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"its {name} cannot be read") from error

    def _wrong(self, what: str) -> TraceFileError:
        return TraceFileError(f"{self._name} is no whole trace: {what}.")
