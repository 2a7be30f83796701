"""What every kind of intervention says of itself: where it acts, what it needs and what it does."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Literal, TypedDict, get_args, no_type_check

import numpy as np
from torch import Tensor

from model_hooks.arrays import as_whole
from model_hooks.errors import InterventionError
from model_hooks.info import ModelInfo
from model_hooks.parts.abilities import Abilities, LayerAbilities
from model_hooks.run.masks import NarrowedMask

Place = Literal["key", "value", "mask", "heads", "attn_out", "mlp_out"]
PLACES: tuple[Place, ...] = get_args(Place)
LONGEST_TEXT = 2**31 - 1
"""In tokens: what lies further apart lies nowhere."""
INSIDE_ATTENTION: frozenset[Place] = frozenset({"key", "value", "mask", "heads"})


class Effects(TypedDict, total=False):
    """What an intervention does in the layers it acts in, by the place in a run.

    Each takes what is there and returns what shall be there instead, a new tensor.
    """

    key: Callable[[Tensor], Tensor]
    """Keys, [1, kv_head, n_keys, d_head]."""
    value: Callable[[Tensor], Tensor]
    """Values, [1, kv_head, n_keys, d_value]."""
    mask: Callable[[NarrowedMask], None]
    """Which keys a query may read; it is narrowed in place."""
    heads: Callable[[Tensor], Tensor]
    """What the heads give before they are put together, [1, new, head, d_value]."""
    attn_out: Callable[[Tensor], Tensor]
    """What attention adds to the stream, [1, new, d_model]."""
    mlp_out: Callable[[Tensor], Tensor]
    """What the feedforward adds to the stream, [1, new, d_model]."""


class Intervention(ABC):
    """Something to change in a run; each kind is a frozen dataclass with plain fields.

    A kind needs a `name` of its own; whoever lists, stores or links kinds finds it by that
    (`intervention_kinds`). No other place has to know it.
    """

    name: ClassVar[str]
    """The kind, in a word that stays: links carry it."""
    verb: ClassVar[str] = "change"
    """What it does to a layer or head, for the sentence that there is none to do it to."""

    def __post_init__(self) -> None:
        """Turn NumPy's numbers into plain ones: a kind can be hashed, kept, sent and linked."""
        for of in fields(self):  # pyright: ignore[reportArgumentType] (each kind is a dataclass)
            given = getattr(self, of.name)
            if (plain := as_whole(given)) is not None:
                object.__setattr__(self, of.name, plain)
            elif of.name != "layers" and not isinstance(given, Hashable):
                raise InterventionError(f"{of.name} cannot be {reprlib.repr(given)}.")

    def __init_subclass__(cls, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name is not None:
            if name in _KINDS:
                raise TypeError(f"there are two interventions called {name!r}")
            cls.name = name
            _KINDS[name] = cls

    @property
    @abstractmethod
    def acting_layers(self) -> tuple[int, ...] | None:
        """The layers it acts in, as asked for; None is every layer that has what it changes."""

    @abstractmethod
    def effects(self) -> Effects:
        """Return what it does, by the place in a run."""

    @abstractmethod
    def describe(self) -> str:
        """Say in words what it does: `head 3 of layer 2 switched off`."""

    def acts_in(self, layer: int) -> bool:
        """Tell whether it may change anything in a layer."""
        return self.acting_layers is None or layer in self.acting_layers

    def check(self, info: ModelInfo, abilities: Abilities) -> None:
        """Refuse what has no place in a model.

        Raises:
            InterventionError: The model lacks what is to be changed, or it cannot be changed in it,
                so that nothing would happen.
        """
        if self.acting_layers == ():
            raise InterventionError("No layer is named, so nothing would change: name one or more.")
        for layer in self.acting_layers or ():
            if not is_index(layer, info.n_layers):
                raise InterventionError(
                    f"There is no layer {layer} to {self.verb}: this model's run from 0 to "
                    f"{info.n_layers - 1}."
                )
        if abilities.returns_weights and INSIDE_ATTENTION & self.effects().keys():
            raise InterventionError(
                f"{info.name} ({info.family}) computes attention in a way of its own, so its heads "
                "and masks cannot be changed."
            )
        for layer in self.acting_layers or ():
            for place in PLACES:
                if place in self.effects():
                    _check_place(place, layer, abilities.layers[layer])

    def check_text(self, n_positions: int) -> None:  # noqa: B027 (most kinds fit any text)
        """Refuse what has no place in a text of that length.

        Raises:
            InterventionError: Nothing would happen in it.
        """


_KINDS: dict[str, type[Intervention]] = {}


def intervention_kinds() -> dict[str, type[Intervention]]:
    """Return every kind of intervention by its name; `dataclasses.fields` tells what it takes."""
    return dict(sorted(_KINDS.items()))


@no_type_check  # it checks itself, with a sentence for the user
def check_interventions(
    interventions: Iterable[Intervention],
    info: ModelInfo,
    abilities: Abilities,
    n_positions: int | None = None,
) -> tuple[Intervention, ...]:
    """Return interventions, having refused what would change nothing.

    Args:
        interventions: What is asked for.
        info: Of the model.
        abilities: Of the model.
        n_positions: Length of the text; None if it will grow.

    Raises:
        InterventionError: A model, or a text, lacks what is to be changed.
    """
    given = tuple(interventions) if _can_be_listed(interventions) else (interventions,)
    for intervention in given:
        if not isinstance(intervention, Intervention):
            raise InterventionError(
                f"{reprlib.repr(intervention)} is no intervention: choose one of "
                f"{', '.join(kind.__name__ for kind in intervention_kinds().values())}."
            )
        intervention.check(info, abilities)
        if n_positions is not None:
            intervention.check_text(n_positions)
    return given


def _can_be_listed(value: object) -> bool:
    is_array = isinstance(value, np.ndarray)
    return isinstance(value, Iterable) and not (is_array and value.ndim == 0)


def is_index(value: object, count: int | None) -> bool:
    """Whether a value is a whole number from 0, and below a count if there is one."""
    plain = as_whole(value)
    return plain is not None and plain >= 0 and (count is None or plain < count)


def check_head(
    intervention: Intervention,
    layer: int | None,
    head: int,
    info: ModelInfo,
    abilities: Abilities,
) -> None:
    """Refuse a head that the layer, or every layer, lacks.

    Raises:
        InterventionError: There is no such head.
    """
    layers = abilities.layers if layer is None else (abilities.layers[layer],)
    n_heads = max((one.n_heads for one in layers), default=0) or info.n_heads
    if not is_index(head, n_heads):
        whose = "this model's" if layer is None or n_heads == info.n_heads else "this layer's"
        raise InterventionError(
            f"There is no head {head} to {intervention.verb}: {whose} run from 0 to {n_heads - 1}."
        )


def freeze_layers(intervention: Any) -> None:
    """Turn the `layers` of a frozen dataclass into a tuple, which can be compared and hashed.

    Raises:
        InterventionError: They are no layers.
    """
    layers = intervention.layers
    if layers is None:
        return
    plain = tuple(map(as_whole, layers)) if _can_be_listed(layers) else (None,)
    if None in plain:
        raise InterventionError(f"{reprlib.repr(layers)} are no layers: list their numbers.")
    object.__setattr__(intervention, "layers", plain)


def check_sizes(intervention: Any, *names: str) -> None:
    """Turn fields of a frozen dataclass into plain whole numbers.

    Raises:
        InterventionError: One is none, or is larger than any text is long.
    """
    for name in names:
        size = as_whole(given := getattr(intervention, name))
        if size is None or abs(size) > LONGEST_TEXT:
            raise InterventionError(
                f"{name} must be a whole number up to {LONGEST_TEXT:,}, not {reprlib.repr(given)}."
            )
        object.__setattr__(intervention, name, size)


def in_layers(layers: Sequence[int] | None) -> str:
    """Say which layers: ` in layers 1, 2`; nothing where all are meant."""
    if layers is None:
        return ""
    return f" in {'layer' if len(layers) == 1 else 'layers'} {', '.join(map(str, layers))}"


def _check_place(place: Place, layer: int, abilities: LayerAbilities) -> None:
    if place in INSIDE_ATTENTION:
        if not abilities.changes_heads:
            raise InterventionError(
                f"Layer {layer} has no attention: it mixes positions in another way."
            )
        return
    changes, what = {
        "attn_out": (abilities.changes_attention, "attention"),
        "mlp_out": (abilities.changes_feedforward, "feedforward"),
    }[place]
    if changes:
        return
    if abilities.parts and what not in abilities.parts:
        raise InterventionError(f"Layer {layer} has no {what} to change.")
    raise InterventionError(
        f"The {what} of layer {layer} adds to the residual stream inside its own module, so it "
        "cannot be switched off."
    )
