"""What would a model lose with fewer KV heads? Neighbours that share one key and one value."""

from dataclasses import dataclass

from torch import Tensor

from model_hooks.errors import InterventionError
from model_hooks.info import ModelInfo
from model_hooks.parts.abilities import Abilities
from model_hooks.run.interventions.base import (
    Effects,
    Intervention,
    check_sizes,
    freeze_layers,
    in_layers,
)


@dataclass(frozen=True)
class ShareKVHeads(Intervention, name="share_kv_heads"):
    """Let neighbouring KV heads share one key and one value, their mean.

    Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
    Checkpoints", section 2.1, pool the projection matrices; the mean of the keys and values is the
    same wherever those are linear in the weights. Where a norm follows the projection (Qwen 3,
    Gemma 3), what is pooled here are the normalised keys.

    Raises:
        InterventionError: There would be no group.
    """

    n_groups: int
    layers: tuple[int, ...] | None = None
    """None is every layer that has attention."""

    def __post_init__(self) -> None:
        super().__post_init__()
        freeze_layers(self)
        check_sizes(self, "n_groups")
        if self.n_groups < 1:
            raise InterventionError(f"{self.n_groups} groups hold no KV head: choose 1 or more.")

    @property
    def acting_layers(self) -> tuple[int, ...] | None:
        """Those named, or all that have attention."""
        return self.layers

    def check(self, info: ModelInfo, abilities: Abilities) -> None:
        """Refuse groups that the KV heads cannot be put into."""
        super().check(info, abilities)
        _check_groups(self.n_groups, info.n_kv_heads)

    def effects(self) -> Effects:
        """Return the means of keys and of values."""
        return {"key": self.pooled, "value": self.pooled}

    def describe(self) -> str:
        """Say how many there are left."""
        left = "1 key and value" if self.n_groups == 1 else f"{self.n_groups} keys and values"
        return f"KV heads pooled into {left}{in_layers(self.layers)}"

    def pooled(self, heads: Tensor) -> Tensor:
        """Return keys or values [1, kv_head, n_keys, d], each head replaced by its group's mean.

        Raises:
            InterventionError: The heads do not make that many groups of one size.
        """
        n_heads = heads.shape[1]
        _check_groups(self.n_groups, n_heads)
        grouped = heads.unflatten(1, (self.n_groups, n_heads // self.n_groups))
        return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1, 2)


def kv_group_choices(n_kv_heads: int) -> tuple[int, ...]:
    """Return into how many groups of one size KV heads can be put."""
    return tuple(n for n in range(1, n_kv_heads + 1) if n_kv_heads % n == 0)


def _check_groups(n_groups: int, n_kv_heads: int) -> None:
    choices = kv_group_choices(n_kv_heads)
    if n_groups not in choices:
        heads = "KV head" if n_kv_heads == 1 else "KV heads"
        raise InterventionError(
            f"{n_kv_heads} {heads} cannot be put into {n_groups} groups of one size: choose "
            f"{' or '.join(map(str, choices))}."
        )
