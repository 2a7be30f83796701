"""Which rotations depend on the length of the whole text, so that keys of a shorter one do not fit?

transformers recomputes them while a text runs (`modeling_rope_utils.dynamic_rope_update`): with
`longrope` there is one rotation up to a length and another beyond; with `dynamic`, every length
beyond has its own. The module keeps what the last text left, so it is put back before each run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, eq=False)
class Stretched:
    """One rotation that depends on the length of the text."""

    module: Any
    """What computes it."""
    prefix: str
    """Of its names in the module, where that holds one rotation per kind of layer."""
    after: int
    """Texts up to this length turn by the original rotation."""
    by_length: bool
    """Whether every length beyond has its own."""

    def reset(self) -> None:
        """Put the original rotation back."""
        original = getattr(self.module, f"{self.prefix}original_inv_freq", None)
        if original is None:
            return
        current = getattr(self.module, f"{self.prefix}inv_freq")
        self.module.register_buffer(
            f"{self.prefix}inv_freq", original.to(current.device).clone(), persistent=False
        )
        for name in (f"{self.prefix}max_seq_len_cached", "max_seq_len_cached"):
            if hasattr(self.module, name):
                setattr(self.module, name, self.after)


def find_stretched(modules: Iterable[nn.Module]) -> tuple[Stretched, ...]:
    """Return the rotations that depend on the length, among some modules."""
    found: list[Stretched] = []
    for module in modules:
        types = getattr(module, "rope_type", None)
        each = types if isinstance(types, dict) else {"": types}
        for layer_type, rope_type in each.items():
            after = _after(module, layer_type, str(rope_type))
            if after is not None:
                prefix = f"{layer_type}_" if layer_type else ""
                found.append(Stretched(module, prefix, after, "dynamic" in str(rope_type)))
    return tuple(found)


def _after(module: Any, layer_type: str, rope_type: str) -> int | None:
    """The length up to which the original rotation holds; None if it holds for all."""
    if "dynamic" in rope_type:
        return getattr(module, "original_max_seq_len", None)
    if rope_type != "longrope":
        return None
    settings = getattr(module.config, "rope_parameters", None) or {}
    settings = settings.get(layer_type, {}) if layer_type else settings
    return settings.get("original_max_position_embeddings")
