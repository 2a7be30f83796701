"""What did fine-tuning change in a model? Its weights against those it began with.

The model before is called base, the one after it tuned. How far apart their predictions are on a
text is asked of any two models (`read/between.py`).
"""

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from model_hooks.arrays import check_real
from model_hooks.errors import NotSiblingsError
from model_hooks.model import HookedModel
from model_hooks.opening.alone import building
from model_hooks.opening.families import opener

MOST = 2.0
"""How many times its change a model can get."""
DESIGN = (
    "family",
    "activation",
    "norm",
    "norm_placement",
    "position",
    "parallel",
    "n_heads",
    "experts_per_token",
    "tied_embeddings",
)
"""What a model is built as and its weights do not tell, by the fields of `ModelInfo`."""
_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


class WeightChange(NamedTuple):
    """How far one array of weights moved."""

    name: str
    """As in the checkpoint."""
    layer: int | None
    """None outside of the blocks."""
    part: str
    """The name without the layer's number, the same in every layer."""
    shape: tuple[int, ...]
    relative: float | None
    """Frobenius norm of the difference over that of the base; None where the base holds zeros
    alone and the tuned one does not."""


def are_siblings(base: HookedModel, tuned: HookedModel) -> bool:
    """Tell whether one can have become the other by training: the same design and weights."""
    return _difference(base, tuned) is None


def check_siblings(base: HookedModel, tuned: HookedModel) -> None:
    """Refuse two models of which one cannot have become the other by training.

    Raises:
        NotSiblingsError: They are of different designs.
    """
    if (why := _difference(base, tuned)) is not None:
        raise NotSiblingsError(
            f"{tuned.info.name} is no fine-tuned {base.info.name}: {why}. Take two models of the "
            "same architecture."
        )


def _difference(base: HookedModel, tuned: HookedModel) -> str | None:
    """Say in what two models differ that training does not change."""
    a, b = _shapes(base.model), _shapes(tuned.model)
    if alone := sorted(a.keys() ^ b.keys()):
        return f"only one of them has {alone[0]}"
    for name, shape in a.items():
        if shape != b[name]:
            return f"{name} is of shape {_by(shape)} in one and {_by(b[name])} in the other"
    for what in DESIGN:
        one, other = getattr(base.info, what), getattr(tuned.info, what)
        if one != other:
            return f"{what.replace('_', ' ')} is {one} in one and {other} in the other"
    return None


@torch.no_grad()
def weight_changes(base: HookedModel, tuned: HookedModel) -> tuple[WeightChange, ...]:
    """Return how far each array of weights moved, in the model's own order.

    Raises:
        NotSiblingsError: They are no base and its fine-tuned copy.
    """
    check_siblings(base, tuned)
    after = dict(tuned.model.named_parameters())
    return tuple(
        _change(name, before, after[name]) for name, before in base.model.named_parameters()
    )


@torch.no_grad()
def weights_at(base: HookedModel, tuned: HookedModel, scale: Any) -> dict[str, Tensor]:
    """Return base + scale x (tuned - base) for every array of weights, by its name.

    At 0 and at 1 these are the very weights of the two, bit for bit (task arithmetic, Ilharco et
    al. 2023, "Editing Models with Task Arithmetic", section 2).

    Raises:
        NotSiblingsError: They are no base and its fine-tuned copy, or the scale is not from 0 to 2.
    """
    check_siblings(base, tuned)
    scale = check_real("scale", scale, NotSiblingsError, 0.0, MOST)
    before, after = base.model.state_dict(), tuned.model.state_dict()
    if scale in (0.0, 1.0):
        return {name: one.clone() for name, one in (after if scale else before).items()}
    return {name: _between(one, after[name], scale) for name, one in before.items()}


def at_scale(base: HookedModel, tuned: HookedModel, scale: Any) -> HookedModel:
    """Return a model with the weights `weights_at` returns: 0 is the base, 1 the tuned one.

    Raises:
        NotSiblingsError: They are no base and its fine-tuned copy, or the scale is not from 0 to 2.
    """
    weights = weights_at(base, tuned, scale)
    name = f"{base.info.name} + {scale:g} x ({tuned.info.name} - {base.info.name})"
    with building:
        plain = plain_copy(base)
        try:
            plain.load_state_dict(weights)
        except RuntimeError as error:
            raise NotSiblingsError(
                f"The weights of {base.info.name} do not fit a model that is built anew."
            ) from error
        return HookedModel.wrap(plain, base.tokenizer, name)


def plain_copy(hooked: HookedModel) -> PreTrainedModel:
    """Return a transformers model of the same config and format without hooks, weights yet to come.

    Raises:
        NotSiblingsError: It cannot be built from its config, as one with packed weights.
    """
    model = hooked.model
    try:
        config = type(model.config).from_dict(model.config.to_dict())
        family = opener(config.model_type)
        made = family.from_config(config, dtype=model.dtype, trust_remote_code=False)
    except Exception as error:
        raise NotSiblingsError(
            f"A model of this kind ({model.config.model_type}) cannot be built anew with other "
            "weights, so there is none in between."
        ) from error
    made.generation_config = model.generation_config
    return made.to(model.device).eval()


def _change(name: str, before: Tensor, after: Tensor) -> WeightChange:
    of_base = float(torch.linalg.vector_norm(before, dtype=torch.float64))
    moved = float(torch.linalg.vector_norm(after.to(before.device).double() - before.double()))
    found = _LAYER.search(name)
    return WeightChange(
        name=name,
        layer=None if found is None else int(found[0]),
        part=name if found is None else name[: found.start()] + "*" + name[found.end() :],
        shape=tuple(before.shape),
        relative=moved / of_base if of_base else (None if moved else 0.0),
    )


def _between(before: Tensor, after: Tensor, scale: float) -> Tensor:
    after = after.to(before.device)
    if not before.is_floating_point():  # such as counters, which training leaves alone
        return before.clone()
    return before + scale * (after - before)


def _shapes(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in model.named_parameters()}


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
