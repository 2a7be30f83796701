"""What is any transformers causal LM made of? Found by running a few tokens through it.

No table of class names. transformers declares which modules are blocks and attention layers; how
a block wires them together is found by running a few tokens through it once and looking at which
outputs add up to which inputs.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from model_hooks.errors import BrokenModelError, NotCausalError, NotRecordableError
from model_hooks.parts.anatomy import Anatomy, StreamLayout
from model_hooks.parts.blocks import attention_modules, find_blocks
from model_hooks.parts.probe import BlockRun, ModuleCall, Probe
from model_hooks.parts.wiring import as_its_kind, block_anatomy


def dissect(model: PreTrainedModel, input_ids: Tensor) -> Anatomy:
    """Find the parts of a model by running a few token IDs [1, pos] through it twice.

    Raises:
        NotCausalError: Earlier positions change with later tokens.
        NotRecordableError: There is no stack of blocks.
        BrokenModelError: The model computes values that are not numbers.
    """
    decoder, blocks = find_blocks(model)
    probe = Probe(model, decoder, blocks)
    seen = probe.run(input_ids)
    if not probe.order:
        raise NotRecordableError(
            f"{type(model).__name__} never runs the blocks it holds, so nothing can be recorded."
        )
    order, after = list(probe.order), list(probe.after)
    if len(order) > 1 and not _form_a_stream([seen[path] for path in order]):
        raise NotRecordableError(
            f"{type(model).__name__} keeps its layers' parts in separate lists, so Inlook cannot "
            "tell one block from the next."
        )
    layout = _layout(model, [seen[path].input for path in order], input_ids.shape[1])
    _check_causal(model, probe, input_ids, seen, layout)
    attention = attention_modules(decoder, blocks)
    parts = {
        path: block_anatomy(path, block, attention[path], seen[path])
        for path, block in blocks
        if path in seen
    }
    parts = {path: as_its_kind(block, parts.values()) for path, block in parts.items()}
    return Anatomy(
        decoder=decoder,
        blocks=tuple(parts[path] for path in order),
        final_norm=_final_norm(after, seen[order[-1]].output),
        lm_head=model.get_output_embeddings(),
        layout=layout,
    )


def _layout(model: PreTrainedModel, streams: list[Tensor], n_pos: int) -> StreamLayout:
    """Where the axis of the positions is in what enters each block."""
    shape = tuple(streams[0].shape)
    if n_pos not in shape[:-1] or any(stream.shape != shape for stream in streams):
        raise NotRecordableError(
            f"{type(model).__name__} does not keep one vector per token from block to block, so "
            "Inlook cannot show it."
        )
    axis = max(i for i, size in enumerate(shape[:-1]) if size == n_pos)
    if shape == (1, n_pos, shape[-1]):
        return StreamLayout()
    return StreamLayout(axis, shape[:axis] + shape[axis + 1 :])


def _form_a_stream(runs: list[BlockRun]) -> bool:
    """Whether anywhere one block's output is the next one's input."""
    return any(
        one.output.numel() == other.input.numel()
        and torch.equal(one.output.reshape(-1), other.input.reshape(-1))
        for one, other in pairwise(runs)
    )


def _check_causal(
    model: PreTrainedModel,
    probe: Probe,
    input_ids: Tensor,
    seen: dict[str, BlockRun],
    layout: StreamLayout,
) -> None:
    last = probe.order[-1]
    if not torch.isfinite(seen[last].output).all():
        raise BrokenModelError(
            "The model computes values that are not numbers; its weights look damaged."
        )
    changed = input_ids.clone()
    changed[0, -1] = input_ids[0, 0]
    again = probe.run(changed)[last].output
    before = layout.rows(seen[last].output)[:-1].float()
    now = layout.rows(again)[:-1].float()
    if (before - now).norm() > 1e-2 * before.norm():
        raise NotCausalError(
            f"{type(model).__name__} lets earlier tokens see later ones, so it is not a causal "
            "language model and cannot be stepped through."
        )


def _final_norm(after: list[ModuleCall], last: Tensor) -> nn.Module | None:
    return next((c.module for c in after if c.live_input.data_ptr() == last.data_ptr()), None)
