"""What does a part do? Switched off, it adds nothing to the residual stream."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_hooks.info import ModelInfo
from model_hooks.parts.abilities import Abilities
from model_hooks.run.interventions.base import Effects, Intervention, check_head


@dataclass(frozen=True)
class AblateHead(Intervention, name="ablate_head"):
    """Set one head's output to zero, so that it adds nothing to the residual stream."""

    layer: int
    head: int

    verb = "switch off"

    @property
    def acting_layers(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def check(self, info: ModelInfo, abilities: Abilities) -> None:
        """Refuse a layer or head that is not there."""
        super().check(info, abilities)
        check_head(self, self.layer, self.head, info, abilities)

    def effects(self) -> Effects:
        """Return the heads without this one."""
        return {"heads": self._without}

    def describe(self) -> str:
        """Say which head."""
        return f"head {self.head} of layer {self.layer} switched off"

    def _without(self, heads: Tensor) -> Tensor:
        edited = heads.clone()
        edited[:, :, self.head] = 0
        return edited


@dataclass(frozen=True)
class AblateAttention(Intervention, name="ablate_attention"):
    """Let the attention of one layer add nothing to the residual stream."""

    layer: int

    verb = "switch off"

    @property
    def acting_layers(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def effects(self) -> Effects:
        """Return nothing in place of what attention adds."""
        return {"attn_out": torch.zeros_like}

    def describe(self) -> str:
        """Say which attention."""
        return f"attention of layer {self.layer} switched off"


@dataclass(frozen=True)
class AblateMLP(Intervention, name="ablate_mlp"):
    """Let the feedforward of one layer add nothing to the residual stream."""

    layer: int

    verb = "switch off"

    @property
    def acting_layers(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def effects(self) -> Effects:
        """Return nothing in place of what the feedforward adds."""
        return {"mlp_out": torch.zeros_like}

    def describe(self) -> str:
        """Say which feedforward."""
        return f"feedforward of layer {self.layer} switched off"
