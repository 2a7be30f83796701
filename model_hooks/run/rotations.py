"""Which rotations depend on the length of the whole text, so that keys of a shorter one do not fit?

transformers recomputes them while a text runs (`modeling_rope_utils.dynamic_rope_update`): with
`longrope` there is one rotation up to a length and another beyond; with `dynamic`, every length
beyond has its own. The module keeps what the last text left, so it is put back before each call.
"""

import functools
import threading
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from model_hooks.parts.abilities import Stretch


def let_each_text_stretch(modules: Iterable[nn.Module]) -> tuple[Stretch, ...]:
    """Let no earlier text, nor one in another thread, decide how a text's keys turn.

    Args:
        modules: Of a model; those whose rotation depends on the length are changed, once.

    Returns:
        At which lengths rotations change.
    """
    found: list[Stretch] = []
    for module in list(modules):
        if stretched := _stretched(module):
            _install(module, stretched)
            found += stretched.values()
    return tuple(dict.fromkeys(found))


def _stretched(module: Any) -> dict[str, Stretch]:
    """The rotations of a module that depend on the length, by the prefix of their names in it."""
    types = getattr(module, "rope_type", None)
    each = types if isinstance(types, dict) else {"": types}
    found = {}
    for layer_type, rope_type in each.items():
        after = _after(module, layer_type, str(rope_type))
        if after is not None:
            prefix = f"{layer_type}_" if layer_type else ""
            found[prefix] = Stretch(after, by_length="dynamic" in str(rope_type))
    return found


def _after(module: Any, layer_type: str, rope_type: str) -> int | None:
    """The length up to which the original rotation holds; None if it holds for all."""
    if "dynamic" in rope_type:
        return getattr(module, "original_max_seq_len", None)
    if rope_type != "longrope":
        return None
    settings = getattr(module.config, "rope_parameters", None) or {}
    settings = settings.get(layer_type, {}) if layer_type else settings
    return settings.get("original_max_position_embeddings")


def _install(module: Any, stretched: dict[str, Stretch]) -> None:
    run, alone = module.forward, threading.Lock()

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with alone:
            for prefix, stretch in stretched.items():
                _reset(module, prefix, stretch.after)
            return run(*args, **kwargs)

    module.forward = forward


@torch.inference_mode(False)  # what is made in inference mode may not be changed outside of it
def _reset(module: Any, prefix: str, after: int) -> None:
    """Put the original rotation back."""
    original = getattr(module, f"{prefix}original_inv_freq", None)
    if original is None:
        return
    current = getattr(module, f"{prefix}inv_freq")
    module.register_buffer(
        f"{prefix}inv_freq", original.to(current.device).clone(), persistent=False
    )
    for name in (f"{prefix}max_seq_len_cached", "max_seq_len_cached"):
        if hasattr(module, name):
            setattr(module, name, after)
