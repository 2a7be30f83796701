"""Experts: which of its networks a mixture of experts picks for each token, and with what weight.

A router gives each token a score per expert; a few experts run, and their outputs are added up
with the router's weights (Shazeer et al. 2017, "Outrageously Large Neural Networks", section 2).
Routers are found as transformers declares them, in the same place where its own
`output_router_logits` finds them; what they return is read as it is, never computed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY, OutputRecorder

from model_hooks.parts.anatomy import Anatomy
from model_hooks.run.trace import to_array


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
        if self.chosen is None:
            return None
        weights = np.full(self.scores.shape, np.nan, dtype=self.chosen_weights.dtype)
        np.put_along_axis(weights, self.chosen, self.chosen_weights, axis=1)
        return weights


class Router(NamedTuple):
    """A router and the place of its scores in what it returns."""

    module: nn.Module
    path: str
    index: int


def find_routers(anatomy: Anatomy) -> tuple[Router | None, ...]:
    """Return the router of each block's feedforward; None where a block has none."""
    declared = _declared(anatomy.decoder)
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


def _declared(decoder: nn.Module) -> list[OutputRecorder]:
    """What transformers declares to return router logits, over all submodels."""
    found = []
    for module in decoder.modules():
        if isinstance(module, PreTrainedModel):
            specs = _CAN_RECORD_REGISTRY.get(module).get("router_logits", [])
            found += specs if isinstance(specs, (list, tuple)) else [specs]
    recorders = [
        spec if isinstance(spec, OutputRecorder) else OutputRecorder(spec, index=1)
        for spec in found
    ]
    return [recorder for recorder in recorders if isinstance(recorder.target_class, type)]


def _is_named(path: str, layer_name: str | None) -> bool:
    return layer_name is None or f".{layer_name.strip('.')}." in f".{path}."


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
    if router.index >= len(parts) or not isinstance(parts[router.index], Tensor):
        return None
    scores = parts[router.index]
    scores = scores.reshape(-1, scores.shape[-1])
    others = [
        part.reshape(-1, part.shape[-1])
        for i, part in enumerate(parts)
        if isinstance(part, Tensor) and i != router.index and part.ndim > 1
    ]
    others = [part for part in others if len(part) == len(scores)]
    chosen, weights = _choice(scores, others)
    if chosen is not None:
        order = weights.argsort(dim=-1, descending=True, stable=True)
        chosen = to_array(chosen.gather(-1, order).double()).astype(np.int64)
        weights = to_array(weights.gather(-1, order))
    return Routing(layer, router.path, to_array(scores), chosen, weights)


def _choice(scores: Tensor, others: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
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
    return None, None
