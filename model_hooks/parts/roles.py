"""Which modules of a block do what: mix positions, feed forward, choose experts, add biases?

Told by the module tree, and by what was seen of each block when the model was loaded.
"""

import re

from torch import nn
from transformers.pytorch_utils import Conv1D

from model_hooks.parts.anatomy import BlockAnatomy, is_norm

_FEEDFORWARD = re.compile(
    r"mlp|feed_?forward|ffn|ffw|moe|expert|router|^fc|^wi|^wo|^gate|^up|^down|intermediate|^output$"
    r"|dense|^ff"
)


def only_feeds(block: BlockAnatomy) -> bool:
    """Whether a block is a feedforward alone (Nemotron-H takes turns)."""
    return block.attention is None and block.attn_out is None and block.mlp_out is not None


def mixer(block: BlockAnatomy) -> str | None:
    """Return the class of what mixes positions instead of attention; None if nothing does."""
    if only_feeds(block):
        return None
    tap = block.attn_out
    if tap is not None and not is_norm(tap.module):
        return type(tap.module).__name__
    known = r"mamba|recurrent|conv|linear_attn|delta|ssm|temporal|mixer|rwkv|time_mix"
    for name, module in block.module.named_modules():
        if name and re.search(known, f"{name} {type(module).__name__}".lower()):
            return type(module).__name__
    return None


def is_bias(name: str) -> bool:
    """Whether a parameter of that name is a vector that is added after a product."""
    # DeepSeek's routers have a "correction" that balances the experts.
    return name.endswith("bias") and "correction" not in name


def has_bias(part: nn.Module) -> bool:
    """Whether a part adds a learned vector after a product; those of its norms do not count."""
    norms = {id(p) for m in part.modules() if is_norm(m) for p in m.parameters()}
    return any(
        is_bias(name) and id(parameter) not in norms for name, parameter in part.named_parameters()
    )


def feedforward_parts(block: BlockAnatomy) -> list[tuple[str, nn.Module]]:
    """Return the children of a block that make up its feedforward, with their names.

    They are what is called like one; where nothing is, all that is neither norm nor mixing.
    """
    mixing = {id(m) for m in mixing_modules(block)}
    rest = [
        (name, child)
        for name, child in block.module.named_children()
        if id(child) not in mixing
        and not (block.attention is not None and any(m is block.attention for m in child.modules()))
        and not is_norm(child)
        and any(True for _ in child.parameters())
    ]
    named = [(n, m) for n, m in rest if _FEEDFORWARD.search(f"{n}".lower())]
    return named or rest


def mixing_modules(block: BlockAnatomy) -> list[nn.Module]:
    """What mixes positions in a block: its attention, or what stands in its place."""
    if block.attention is not None:
        return [block.attention]
    if only_feeds(block):
        return []
    tap = block.attn_out
    if tap is not None and not is_norm(tap.module):
        return [tap.module]
    kind = mixer(block)
    return [m for m in block.module.children() if type(m).__name__ == kind]


def n_experts_among(parts: list[nn.Module]) -> int | None:
    """Return how many experts there are among the modules of a feedforward; None without any."""
    for part in parts:
        for name, module in [("", part), *part.named_modules()]:
            if not name.endswith("experts") or "shared" in name:
                continue
            if isinstance(module, nn.ModuleList):
                return len(module)
            stacked = [p.shape[0] for p in module.parameters() if p.ndim >= 2]
            numbers = [
                int(getattr(module, n)) for n in ("num_experts", "n_experts") if hasattr(module, n)
            ]
            if numbers or stacked:
                return (numbers or stacked)[0]
    return None


def width_and_gate(parts: list[nn.Module], d_model: int) -> tuple[int, bool] | None:
    """Width of the hidden layer of a plain feedforward, and whether a gate multiplies it.

    What leads back to d_model tells the width; with a gate, twice as many rows lead in.
    """
    sizes = [
        module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]
        for part in parts
        for module in part.modules()
        if isinstance(module, (nn.Linear, Conv1D))
    ]
    widths = [n_in for n_in, n_out in sizes if n_out == d_model and n_in != d_model]
    if not widths:
        return None
    rows = sum(n for d, n in sizes if d == d_model and n in (widths[-1], 2 * widths[-1]))
    return widths[-1], rows >= 2 * widths[-1]
