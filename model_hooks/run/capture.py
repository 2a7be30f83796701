"""What does a forward pass compute? The residual stream and attention, recorded by reference.

The hooks are installed once and stay silent unless the current context is recording, so one
model serves many threads. What attention reads is recorded in interface.py.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from model_hooks.parts.anatomy import Anatomy, BlockAnatomy, StreamLayout, Tap, hidden_states_of
from model_hooks.run.attention import AttentionCall
from model_hooks.run.interventions import Intervention, Place

_HOOKED = "_hooked_by_inlook"
Tapped = Literal["attn_out", "resid_mid", "mlp_out"]


@dataclass
class LayerRecord:
    """One pass through one block; tensors are [pos, d_model] on the model's device."""

    layer: int
    resid_pre: Tensor
    calls: list[AttentionCall] = field(default_factory=list)
    attn_out: Tensor | None = None
    resid_mid: Tensor | None = None
    mlp_out: Tensor | None = None
    resid_post: Tensor | None = None


class Recording:
    """What the hooks collect during one forward pass.

    Args:
        new_rows: How many last positions to keep, copied, so that the full-length buffers of an
            uncached or cached step are not kept alive; None keeps everything by reference.
        interventions: What to change in this pass.
        n_positions: Length of the text, with the positions that a KV cache holds.
    """

    def __init__(
        self,
        new_rows: int | None = None,
        interventions: Sequence[Intervention] = (),
        n_positions: int = 0,
    ) -> None:
        self.new_rows = new_rows
        self._effects = [(one, one.effects()) for one in interventions]
        self.n_positions = n_positions
        self.layers: list[LayerRecord] = []
        self._running: nn.Module | None = None

    def rows(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """Return the rows to keep of a tensor whose axis `dim` is the position."""
        if self.new_rows is None or tensor.shape[dim] <= self.new_rows:
            return tensor  # all of them: nothing else is kept alive with it
        return tensor.narrow(dim, tensor.shape[dim] - self.new_rows, self.new_rows).clone()

    def begin(self, block: nn.Module, stream: Tensor) -> None:
        """Open the record of a block that starts to run on `stream` [pos, d_model]."""
        self.layers.append(LayerRecord(len(self.layers), self.rows(stream)))
        self._running = block

    @property
    def has_effects(self) -> bool:
        """Whether anything is changed in this pass."""
        return bool(self._effects)

    def effects(self, place: Place) -> list[Callable[..., Any]]:
        """Return what this run's interventions do at a place of the layer that runs now."""
        if not self._effects or not self.layers:
            return []
        layer = self.layers[-1].layer
        acting = (done for one, done in self._effects if one.acts_in(layer))
        return [effect for done in acting if (effect := done.get(place)) is not None]

    def open(self, block: nn.Module) -> LayerRecord | None:
        """Return the record of the block that is running now, if it is this one."""
        return self.layers[-1] if self._running is block else None


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)
_replacement: ContextVar[Tensor | None] = ContextVar("replacement", default=None)


def current_recording() -> Recording | None:
    """Return what this context is recording into, if it is."""
    return _recording.get()


@contextmanager
def recording(
    new_rows: int | None = None,
    interventions: Sequence[Intervention] = (),
    n_positions: int = 0,
) -> Iterator[Recording]:
    """Collect what a hooked model computes in this context."""
    fresh = Recording(new_rows, interventions, n_positions)
    token = _recording.set(fresh)
    try:
        yield fresh
    finally:
        _recording.reset(token)


@contextmanager
def blocks_replaced_by(hidden: Tensor) -> Iterator[None]:
    """Skip every block in this context and let `hidden` [1, pos, d_model] leave the last one.

    What comes after the blocks (final norm, projections, LM head, logit scaling or softcap) then
    runs as the family wrote it: this is how the logit lens stays exact for every family.
    """
    token = _replacement.set(hidden)
    try:
        yield
    finally:
        _replacement.reset(token)


def install(anatomy: Anatomy) -> None:
    """Hook each block once, for the lifetime of the model; what is hooked already stays."""
    layout, last = anatomy.layout, anatomy.blocks[-1].module
    for block in {id(block.module): block for block in anatomy.blocks}.values():
        module = block.module
        if getattr(module, _HOOKED, False):
            continue
        setattr(module, _HOOKED, True)
        _install_skip(block, layout, is_last=module is last)
        module.register_forward_pre_hook(functools.partial(_start, layout), with_kwargs=True)
        module.register_forward_hook(functools.partial(_end, layout))
        taps: dict[Tapped, Tap | None] = {
            "attn_out": block.attn_out,
            "resid_mid": block.resid_mid,
            "mlp_out": block.mlp_out,
        }
        for name, tap in taps.items():
            if tap is None:
                continue
            if tap.at_input:
                hook = functools.partial(_keep_input, layout, module, name, tap.changes)
                tap.module.register_forward_pre_hook(hook, with_kwargs=True)
            else:
                hook = functools.partial(_keep_output, layout, module, name, tap)
                tap.module.register_forward_hook(hook)


def _start(layout: StreamLayout, module: nn.Module, args: tuple, kwargs: dict) -> None:
    if (current := _recording.get()) is not None:
        current.begin(module, layout.rows(hidden_states_of(args, kwargs)))


def _end(layout: StreamLayout, module: nn.Module, args: tuple, output: Any) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(module)) is not None:
        record.resid_post = current.rows(layout.rows(hidden_states_of((output,), {})))


def _keep_input(
    layout: StreamLayout,
    block: nn.Module,
    name: Tapped,
    changes: bool,
    module: nn.Module,
    args: tuple,
    kwargs: dict,
) -> None:
    current = _recording.get()
    if current is not None and (record := current.open(block)) is not None:
        kept = current.rows(layout.rows(hidden_states_of(args, kwargs)))
        setattr(record, name, kept.clone() if changes else kept)


def _keep_output(
    layout: StreamLayout,
    block: nn.Module,
    name: Tapped,
    tap: Tap,
    module: nn.Module,
    args: tuple,
    output: Any,
) -> Any:
    current = _recording.get()
    if current is None or (record := current.open(block)) is None:
        return None
    effects = [] if name == "resid_mid" else current.effects(name)
    for effect in effects:
        output = _with_hidden_states(output, effect)
    kept = current.rows(layout.rows(hidden_states_of((output,), {})))
    if tap.scale != 1.0:
        kept = kept * tap.scale
    elif tap.changes:
        kept = kept.clone()
    setattr(record, name, kept)
    return output if effects else None


def _with_hidden_states(output: Any, effect: Callable[[Tensor], Tensor]) -> Any:
    """A module's output with its hidden states changed."""
    if isinstance(output, Tensor):
        return effect(output)
    return type(output)((_with_hidden_states(output[0], effect), *output[1:]))


def _install_skip(block: BlockAnatomy, layout: StreamLayout, is_last: bool) -> None:
    module, run = block.module, block.module.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        replacement = _replacement.get()
        if replacement is None:
            return run(*args, **kwargs)
        hidden = layout.restored(replacement[0]) if is_last else hidden_states_of(args, kwargs)
        if block.output_length is None:
            return hidden
        return (hidden, *[None] * (block.output_length - 1))

    module.forward = forward
