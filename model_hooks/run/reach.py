"""How far does each layer look back? Asked of the rule that its recorded mask was made from."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from model_hooks.run.attention import RecordedAttention
from model_hooks.run.capture import LayerRecord
from model_hooks.run.interface import MadeMask

FAR = 2**18
"""A position further than any window that a family has."""


def tried_windows(
    layers: Sequence[LayerRecord], made: Sequence[MadeMask], hints: Sequence[int | None]
) -> tuple[int | None, ...]:
    """Return how many positions a query of each layer may look back, itself included.

    None stands for all of them. A chunk counts with its whole length: as far as its last position
    looks back.

    Args:
        layers: What a run recorded.
        made: The masks that were made in that run.
        hints: What config and modules say, for layers whose mask is made in another way, or by a
            rule that knows the positions of its run alone (those of images among them).
    """
    rules = {one.mask.data_ptr(): one.rule for one in made}
    windows = list(hints)
    for i, layer in enumerate(layers):
        call = layer.calls[-1] if layer.calls else None
        if isinstance(call, RecordedAttention) and call.mask is not None:
            rule = rules.get(call.mask.data_ptr())
            if rule is not None:
                with suppress(
                    IndexError
                ):  # a rule that looks up what only this run's positions are
                    windows[i] = reach_of(rule, call.mask.device)
    return tuple(windows)


def reach_of(rule: Callable[..., Any], device: torch.device | str = "cpu") -> int | None:
    """Return the most positions that a rule lets a query look back, itself included; None: all.

    The query before the first key that a far one reads is the last of a chunk, where there are
    chunks.
    """
    first = _first_read(rule, FAR, device)
    if first == 0:
        return None
    return max(FAR - first, first - 1 - _first_read(rule, first - 1, device)) + 1


def _first_read(rule: Callable[..., Tensor], query: int, device: torch.device | str) -> int:
    zero, keys = torch.tensor(0, device=device), torch.arange(query + 1, device=device)
    allowed = rule(zero, zero, torch.tensor(query, device=device), keys).expand(query + 1)
    found = allowed.nonzero()
    return int(found[0]) if len(found) else query
