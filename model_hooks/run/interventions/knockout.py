"""Does one position need what it reads from another? The link between them, taken away."""

from dataclasses import dataclass

from model_hooks.errors import InterventionError
from model_hooks.info import ModelInfo
from model_hooks.parts.abilities import Abilities
from model_hooks.run.interventions.base import Effects, Intervention, check_head, is_index
from model_hooks.run.masks import NarrowedMask


@dataclass(frozen=True)
class Knockout(Intervention, name="knockout"):
    """Keep one query position from reading one key position, in one layer or head or in all.

    The remaining weights of that row are rescaled by the softmax (attention knockout, Geva et al.
    2023, "Dissecting Recall of Factual Associations", section 4).
    """

    query: int
    key: int
    layer: int | None = None
    head: int | None = None

    verb = "switch off"

    @property
    def acting_layers(self) -> tuple[int, ...] | None:
        """The one layer, or all that have attention."""
        return None if self.layer is None else (self.layer,)

    def check(self, info: ModelInfo, abilities: Abilities) -> None:
        """Refuse a layer or head that is not there, and a pair that attention never reads."""
        super().check(info, abilities)
        if self.head is not None:
            check_head(self, self.layer, self.head, info, abilities)
        if not is_index(self.query, None) or not is_index(self.key, self.query):
            raise InterventionError(
                f"Position {self.query} cannot be cut off from position {self.key}: choose an "
                "earlier one, the token's own excluded."
            )

    def check_text(self, n_positions: int) -> None:
        """Refuse a query that the text does not have."""
        if self.query >= n_positions:
            raise InterventionError(
                f"There is no position {self.query} to cut off from position {self.key}: this "
                f"text's run from 0 to {n_positions - 1}."
            )

    def effects(self) -> Effects:
        """Return the mask without the link."""
        return {"mask": self._cut}

    def describe(self) -> str:
        """Say which link, and where."""
        places = ["" if self.head is None else f"head {self.head}"]
        places.append("" if self.layer is None else f"layer {self.layer}")
        where = " of ".join(place for place in places if place) or "all layers"
        return f"position {self.query} cut off from position {self.key} in {where}"

    def _cut(self, mask: NarrowedMask) -> None:
        mask.forbid(self.query, self.key, self.head)
