"""Which parts does a model have, and where is what each one gives? As values that hold modules."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from model_hooks.parts.abilities import PartName, Wiring


@dataclass(frozen=True)
class Tap:
    """Where to read a tensor: a module's first output (or input), times a constant."""

    module: nn.Module
    path: str
    scale: float = 1.0
    at_input: bool = False
    changes: bool = False
    """Whether the model overwrites the tensor later in the block, so that a copy must be kept."""


@dataclass(frozen=True)
class BlockAnatomy:
    """One block: where to read what attention and feedforward add to the residual stream."""

    module: nn.Module
    path: str
    attention: nn.Module | None
    """The module that mixes positions by attention; None in a recurrent or convolution layer."""
    attention_path: str | None
    wiring: Wiring
    attn_out: Tap | None
    resid_mid: Tap | None
    mlp_out: Tap | None
    output_length: int | None
    """Length of the tuple the block returns; None if it returns a tensor."""
    norm_placement: str
    """`pre`, `post` or `pre and post`."""

    @property
    def parts(self) -> tuple[PartName, ...]:
        """The parts whose addition to the stream is known; empty where the wiring is not.

        A block may have one part only (Mamba; Nemotron-H alternates them). What mixes positions
        counts as attention here.
        """
        if self.wiring == "unknown":
            return ()
        if self.resid_mid is None and self.mlp_out is None:
            return ("attention",)
        if self.resid_mid is None and self.attn_out is None:
            return ("feedforward",)
        return ("attention", "feedforward")


@dataclass(frozen=True)
class StreamLayout:
    """How the residual stream lies in the tensors between blocks.

    Nearly always [1, pos, d_model]. Families with several parallel streams put another axis before
    or after the position; those are recorded side by side, as one vector per position.
    """

    pos_axis: int = 1
    other_axes: tuple[int, ...] = (1, -1)

    def rows(self, tensor: Tensor) -> Tensor:
        """Return [pos, d_model] (a view, in the usual layout)."""
        if self.pos_axis >= tensor.ndim or self.other_axes == (1, -1):
            # OPT and some experts flatten [1, pos, d_model] to [pos, d_model] before a layer.
            return tensor.reshape(-1, tensor.shape[-1])
        return tensor.movedim(self.pos_axis, 0).flatten(1)

    def restored(self, rows: Tensor) -> Tensor:
        """Return rows [pos, d_model] in the layout that blocks hand on."""
        return rows.reshape(len(rows), *self.other_axes).movedim(0, self.pos_axis)


@dataclass(frozen=True)
class Anatomy:
    """The parts of one model."""

    decoder: nn.Module
    blocks: tuple[BlockAnatomy, ...]
    """In the order they run; a block that runs several times is there as often."""
    final_norm: nn.Module | None
    lm_head: nn.Module | None
    layout: StreamLayout = StreamLayout()


def path_of(root: nn.Module, module: nn.Module) -> str:
    """Return a module's path inside another one, such as `model.norm`.

    Raises:
        LookupError: It is not inside.
    """
    for path, candidate in root.named_modules():
        if candidate is module:
            return path
    raise LookupError(f"{type(module).__name__} is no part of {type(root).__name__}")


def weight_of(module: nn.Module | None) -> Tensor | None:
    """Return a module's own weight; None if it has none."""
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) else None


def hidden_states_of(args: tuple, kwargs: dict) -> Any:
    """Return the hidden states among a module's arguments or in its output: its first tensor.

    Whatever is first instead, where a module takes or gives no tensor.
    """
    value = args[0] if args else kwargs.get("hidden_states", next(iter(kwargs.values()), None))
    while isinstance(value, (tuple, list)):
        value = value[0]
    return value


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation, by the name of its class."""
    return "norm" in type(module).__name__.lower() and next(module.children(), None) is None
