"""What is looked at on this page: one block, one token, and the run that its numbers come from."""

from typing import NamedTuple

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.parts.facts import BlockFacts
from model_hooks.read.architecture import Part, count_parameters
from model_hooks.read.recorded import PARTS, part_sizes
from pages.ask.computed import computed
from pages.widgets.quantity import LENGTH, shown

_sizes = computed(part_sizes)
_parameters = computed(count_parameters)


class Scene(NamedTuple):
    """What the explanations and the tabs take their numbers from."""

    asked: Run
    info: ModelInfo
    facts: BlockFacts
    """The block's."""
    pos: int
    token: str
    """The token at that position, for people, as Markdown."""

    @property
    def layer(self) -> int:
        """The block's number."""
        return self.facts.layer

    @property
    def parameters(self) -> dict[Part, int]:
        """How many numbers each part of the whole model learned."""
        return _parameters(self.asked.model_name)

    def told(self, part: str, layer: int | None = None) -> str:
        """Write the length of the token's vector, of the same arguments as `size`."""
        return shown(
            LENGTH, self.size(part, layer), part, self.layer if layer is None else layer, self.pos
        )

    def size(self, part: str, layer: int | None = None) -> float:
        """Return the length of the token's vector.

        Args:
            part: One of `PARTS` of the residual stream.
            layer: A layer; this block's by default.
        """
        sizes = _sizes(*self.asked)
        return float(sizes[self.layer if layer is None else layer, PARTS.index(part), self.pos])
