"""What does each module of a model take and give while a few tokens run through it?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from model_hooks.parts.anatomy import Tap, hidden_states_of


@dataclass(eq=False)
class ModuleCall:
    """One call of a module that took and gave numbers."""

    path: str
    module: nn.Module
    input: Tensor
    output: Tensor
    live_input: Tensor
    """The tensors themselves; `input` and `output` are copies from the moment of the call."""
    live_output: Tensor

    def tap(self, scale: float = 1.0) -> Tap:
        """Return where to read this call's output in later runs."""
        changes = not torch.equal(self.output, self.live_output)
        return Tap(self.module, self.path, scale, at_input=False, changes=changes)

    def tap_of_input(self) -> Tap:
        """Return where to read this call's input in later runs."""
        changes = not torch.equal(self.input, self.live_input)
        return Tap(self.module, self.path, at_input=True, changes=changes)


@dataclass(eq=False)
class BlockRun:
    """The last time that a block ran."""

    input: Tensor
    output: Tensor
    output_length: int | None
    """Length of the tuple that the block returned; None if it returned a tensor."""
    calls: list[ModuleCall]
    """Of the modules inside."""


class Probe:
    """Runs the model with temporary hooks on each block and everything inside it."""

    def __init__(
        self, model: PreTrainedModel, decoder: nn.Module, blocks: list[tuple[str, nn.Module]]
    ) -> None:
        self.model, self.decoder, self.blocks = model, decoder, blocks
        self.after: list[ModuleCall] = []
        """Calls outside the blocks, in the last run."""
        self.order: list[str] = []
        """Paths of the blocks, as they ran in the last run."""

    @torch.inference_mode()
    def run(self, input_ids: Tensor) -> dict[str, BlockRun]:
        """Run the model once; return what each block that ran took and gave."""
        runs: dict[str, BlockRun] = {}
        self.after, self.order = [], []
        handles: list[RemovableHandle] = []
        for path, block in self.blocks:
            handles += self._watch(block, path, runs)
        inside = {id(module) for _, block in self.blocks for module in block.modules()}
        for name, module in self.decoder.named_modules():
            if name and id(module) not in inside and not isinstance(module, nn.ModuleList):
                note = _note(name, lambda: self.after)
                handles.append(module.register_forward_hook(note, with_kwargs=True))
        try:
            self.model(input_ids=input_ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return runs

    def _watch(
        self, block: nn.Module, path: str, runs: dict[str, BlockRun]
    ) -> list[RemovableHandle]:
        inputs: list[Tensor] = []
        calls: list[ModuleCall] = []

        def start(_module: nn.Module, args: tuple, kwargs: dict) -> None:
            self.order.append(path)
            inputs.append(hidden_states_of(args, kwargs).clone())
            calls.clear()

        def end(_module: nn.Module, args: tuple, output: Any) -> None:
            length = len(output) if isinstance(output, tuple) else None
            runs[path] = BlockRun(inputs[-1], hidden_states_of((output,), {}), length, calls)

        handles = [
            block.register_forward_pre_hook(start, with_kwargs=True),
            block.register_forward_hook(end),
        ]
        for name, inner in block.named_modules():
            if name:
                note = _note(f"{path}.{name}", lambda: calls)
                handles.append(inner.register_forward_hook(note, with_kwargs=True))
        return handles


def _note(path: str, calls: Callable[[], list[ModuleCall]]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        taken, given = hidden_states_of(args, kwargs), hidden_states_of((output,), {})
        if _is_numbers(taken) and _is_numbers(given):
            calls().append(ModuleCall(path, module, taken.clone(), given.clone(), taken, given))

    return hook


def _is_numbers(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
