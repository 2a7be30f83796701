"""Which experts did the routers of a mixture pick in one run, and with what weight?

A router gives each token a score per expert; a few experts run, and their outputs are added up
with the router's weights (Shazeer et al. 2017, "Outrageously Large Neural Networks", section 2).
What routers return is read as it is, never computed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_hooks.arrays import to_array
from model_hooks.parts.anatomy import Anatomy
from model_hooks.parts.experts import Router, find_routers


@dataclass(frozen=True, eq=False)
class Routing:
    """What one layer's router decided, for every position of a trace."""

    layer: int
    path: str
    """Module path of the router."""
    scores: Float[np.ndarray, "pos expert"]
    """Before anything makes probabilities of them; transformers calls them router logits."""
    chosen: Int[np.ndarray, "pos choice"] | None
    """The experts that ran, the one with the largest weight first; None where the router keeps the
    choice to itself."""
    chosen_weights: Float[np.ndarray, "pos choice"] | None
    """What the output of each is multiplied by, as the router returned it."""

    @property
    def n_experts(self) -> int:
        """How many experts there are to choose from."""
        return self.scores.shape[1]

    @property
    def weights(self) -> Float[np.ndarray, "pos expert"] | None:
        """The weight of every expert; NaN for those that did not run."""
        if self.chosen is None or self.chosen_weights is None:
            return None
        weights = np.full(self.scores.shape, np.nan, dtype=self.chosen_weights.dtype)
        np.put_along_axis(weights, self.chosen, self.chosen_weights, axis=1)
        return weights


@dataclass
class Heard:
    """What the routers returned during one run."""

    routers: tuple[Router | None, ...]
    outputs: dict[nn.Module, list[Any]] = field(default_factory=dict)

    def routing(self) -> tuple[Routing | None, ...]:
        """Return one entry per layer; a block that runs several times has as many."""
        runs = {module: iter(outputs) for module, outputs in self.outputs.items()}
        return tuple(
            None
            if router is None
            else _read(layer, router, next(runs.get(router.module, iter(())), None))
            for layer, router in enumerate(self.routers)
        )


_heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


@contextmanager
def listening(anatomy: Anatomy) -> Iterator[Heard]:
    """Collect what the routers of a model return in this context, and in no other."""
    heard = Heard(find_routers(anatomy))

    def note(module: nn.Module, args: tuple, output: Any) -> None:
        if _heard.get() is heard:
            heard.outputs.setdefault(module, []).append(output)

    modules = {router.module for router in heard.routers if router is not None}
    handles = [module.register_forward_hook(note) for module in modules]
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
        for handle in handles:
            handle.remove()


def _read(layer: int, router: Router, output: Any) -> Routing | None:
    """Tell scores, weights and choice apart by shape and type; None if there are no scores."""
    parts = output if isinstance(output, tuple) else (output,)
    if router.output_index >= len(parts) or not isinstance(parts[router.output_index], Tensor):
        return None
    scores = parts[router.output_index]
    scores = scores.reshape(-1, scores.shape[-1])
    others = [
        part.reshape(-1, part.shape[-1])
        for i, part in enumerate(parts)
        if isinstance(part, Tensor) and i != router.output_index and part.ndim > 1
    ]
    others = [part for part in others if len(part) == len(scores)]
    choice = _choice(scores, others)
    if choice is None:
        return Routing(layer, router.path, to_array(scores), None, None)
    chosen, weights = choice
    order = weights.argsort(dim=-1, descending=True, stable=True)
    return Routing(
        layer=layer,
        path=router.path,
        scores=to_array(scores),
        chosen=to_array(chosen.gather(-1, order).double()).astype(np.int64),
        chosen_weights=to_array(weights.gather(-1, order)),
    )


def _choice(scores: Tensor, others: list[Tensor]) -> tuple[Tensor, Tensor] | None:
    """Return the experts that run and their weights, [pos, choice]."""
    floats = [part for part in others if part.is_floating_point()]
    for chosen in others:
        matching = [weights for weights in floats if weights.shape == chosen.shape]
        if not chosen.is_floating_point() and matching:
            return chosen, matching[0]
    for weights in floats:  # one weight for every expert, zero for those that do not run (Llama 4)
        if weights.shape == scores.shape:
            n_chosen = int((weights != 0).sum(-1).max())
            if n_chosen < scores.shape[-1]:
                top = weights.topk(n_chosen)
                return top.indices, top.values
    return None
