"""How is a trace written as one file that outlives Inlook?

The file is safetensors: arrays by plain names, and texts in its metadata that say what they are.
The library of that name alone can read it; `loaded.py` makes a trace of it again.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy

from model_hooks.errors import TraceFileError
from model_hooks.model import HookedModel
from model_hooks.run.interventions import Intervention
from model_hooks.run.trace import LayerTrace, Trace
from model_hooks.versions import versions

FORMAT = "inlook.trace"
FORMAT_VERSION = 1
"""Counts up when an older Inlook would read a newer file wrongly."""


class Kind(NamedTuple):
    """What the numbers of one array are."""

    axes: str
    """Names of its axes, with a space between."""
    unit: str
    what: str


STREAM = "vector in the residual stream, in the model's own units"
KINDS = {
    "token_ids": Kind("pos", "token ID", "the text, special tokens included"),
    "last_logits": Kind("vocab", "logit (natural logarithm)", "scores of the token to come next"),
    "resid_pre": Kind("pos d_model", STREAM, "what enters the block"),
    "attn_out": Kind("pos d_model", STREAM, "what attention adds"),
    "resid_mid": Kind("pos d_model", STREAM, "what enters the feedforward half"),
    "mlp_out": Kind("pos d_model", STREAM, "what the feedforward adds"),
    "resid_post": Kind("pos d_model", STREAM, "what leaves the block"),
    "query": Kind("head pos d_head", "vector", "queries, after position encoding"),
    "key": Kind("kv_head pos d_head", "vector", "keys, after position encoding"),
    "value": Kind("kv_head pos d_value", "vector", "values"),
    "attention": Kind("head query key", "share, each row adds up to 1", "attention weights"),
    "mask": Kind("query key", "true or false", "which keys a query may read in any head"),
}
"""By the last part of an array's name. A sink that takes a share of attention for itself, as in
gpt-oss, is no key: there, rows add up to less than 1."""
LAYER_PARTS = ("resid_pre", "attn_out", "mlp_out", "resid_post", "query", "key", "value")


def save_trace(model: HookedModel, trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace as one safetensors file; `load_trace` returns an equal one, bit for bit.

    Args:
        model: The model that the trace is of.
        trace: The trace.
        path: The file; one that is there is replaced once the new one is whole.

    Raises:
        TraceFileError: It cannot be written there.
    """
    path = Path(path)
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(trace_file(model, trace))
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise TraceFileError(
            f"The trace could not be written to {path}: {error.strerror or error}."
        ) from error


def trace_file(model: HookedModel, trace: Trace) -> bytes:
    """Return what `save_trace` writes: a trace as one safetensors file."""
    arrays = dict(_arrays(trace))
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(whole, _metadata(model, trace, list(arrays)))


def trace_file_bytes(trace: Trace) -> int:
    """Return about how many bytes that file has, without making it."""
    n, total = len(trace), 0
    for layer in trace.layers:
        parts = [getattr(layer, part) for part in LAYER_PARTS]
        total += sum(part.nbytes for part in parts if part is not None) + 4 * layer.n_heads * n * n
    return total + trace.last_logits.nbytes + n * n


def _arrays(trace: Trace) -> Iterator[tuple[str, np.ndarray]]:
    yield "token_ids", trace.token_ids
    yield "last_logits", trace.last_logits
    for number, layer in enumerate(_of_each_mask(trace)):
        yield f"masks.{number}.mask", layer.readable
    for layer in trace.layers:
        before = f"layers.{layer.layer}"
        for part in LAYER_PARTS:
            if (array := getattr(layer, part)) is not None:
                yield f"{before}.{part}", array
        if layer._resid_mid is not None:
            yield f"{before}.resid_mid", layer._resid_mid
        if layer.has_attention:
            yield f"{before}.attention", _weights(layer)


def _weights(layer: LayerTrace) -> np.ndarray:
    """A layer's attention weights, which the trace keeps only where it kept them before."""
    kept = "attention" in vars(layer)
    weights = layer.attention
    if not kept:
        vars(layer).pop("attention", None)
    return weights


def _of_each_mask(trace: Trace) -> list[LayerTrace]:
    """One layer for each mask that layers of a trace were given."""
    layers = (layer for layer in trace.layers if layer.has_attention)
    return list({layer.mask_id: layer for layer in layers}.values())


def _metadata(model: HookedModel, trace: Trace, names: Sequence[str]) -> dict[str, str]:
    ids = [int(token_id) for token_id in trace.token_ids]
    masks = [layer.mask_id for layer in _of_each_mask(trace)]
    layers = [
        {
            "scale": layer.scale,
            "softcap": layer.softcap,
            "mask": masks.index(layer.mask_id) if layer.has_attention else None,
        }
        for layer in trace.layers
    ]
    told = {
        "versions": versions(),
        "tokens": trace.tokens,
        "next_tokens": trace.next_tokens,
        "interventions": [_written(one) for one in trace.interventions],
        "layers": layers,
        "tensors": {name: KINDS[name.rpartition(".")[2]]._asdict() for name in names},
    }
    return {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "model": _sayable(model.info.name),
        "family": _sayable(model.info.family),
        "prompt": _sayable(model.decode(ids)),
        **{name: json.dumps(value) for name, value in told.items()},
    }


def _written(intervention: Intervention) -> dict[str, object]:
    given = {of.name: getattr(intervention, of.name) for of in fields(intervention)}  # pyright: ignore[reportArgumentType] (each kind is a dataclass)
    return {"intervention": intervention.name, **given}


def _sayable(text: str) -> str:
    """A text that UTF-8 can hold: lone halves of a character become question marks."""
    return text.encode("utf-8", "replace").decode()
