"""Where are the experts of a mixture, and the routers that choose among them?

Routers are found as transformers declares them, in the same place where its own
`output_router_logits` finds them.
"""

from typing import NamedTuple

from torch import nn

from model_hooks.parts.anatomy import Anatomy
from model_hooks.parts.declared import declared_outputs


class Router(NamedTuple):
    """A router."""

    module: nn.Module
    path: str
    output_index: int
    """Of the scores in what it returns."""


def find_routers(anatomy: Anatomy) -> tuple[Router | None, ...]:
    """Return the router of each block's feedforward; None where a block has none."""
    declared = declared_outputs(anatomy.decoder, "router_logits")
    routers: list[Router | None] = []
    for block in anatomy.blocks:
        in_attention = set(block.attention.modules()) if block.attention is not None else set()
        found = [
            Router(module, path, spec.index)
            for name, module in block.module.named_modules()
            if module not in in_attention and (path := f"{block.path}.{name}")
            for spec in declared
            if isinstance(module, spec.target_class) and _is_named(path, spec.layer_name)
        ]
        routers.append(found[0] if found else None)
    return tuple(routers)


def _is_named(path: str, layer_name: str | None) -> bool:
    return layer_name is None or f".{layer_name.strip('.')}." in f".{path}."


def count_experts(config: object) -> int | None:
    """Return how many experts a feedforward layer has, None if it is an ordinary one."""
    for name in ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"):
        if (n_experts := getattr(config, name, None)) and n_experts > 1:
            return n_experts
    return None


def active_share_of(config: object) -> float:
    """Return the share of the experts that run for one token; 1 without a mixture."""
    n_experts = count_experts(config)
    active = getattr(config, "num_experts_per_tok", None) or getattr(config, "top_k_experts", None)
    return active / n_experts if n_experts and active else 1.0
