"""How long may a text be? Tried on what comes before the blocks, where the config's word may fail.

RoBERTa-like families count positions from behind the padding, so that their table ends earlier than
its number of rows says.
"""

from collections.abc import Sequence

import numpy as np

from model_hooks.errors import InlookError
from model_hooks.parts.anatomy import Anatomy
from model_hooks.run.runner import Runner

LONGEST_TRIED = 2**13
"""Longer contexts than this are believed: their masks alone would fill the memory."""
NEAR = 16
"""A table of positions has about as many rows as the context; a few may be kept for padding."""


def try_context(
    runner: Runner, anatomy: Anatomy, token_ids: Sequence[int], d_model: int, stated: int | None
) -> int | None:
    """Return the most positions that a text may have, at most as many as stated.

    Only where a table of positions may end is anything tried, with all blocks skipped.

    Args:
        runner: Runs the model.
        anatomy: Its parts.
        token_ids: A short text that runs.
        d_model: Width of what the blocks hand on.
        stated: What the config says; None if it says nothing.
    """
    if not runner.ways.has_tail or stated is None or stated > LONGEST_TRIED:
        return stated
    if not _has_table(runner, anatomy, stated):
        return stated
    padding = getattr(runner.model.config, "pad_token_id", None)
    token_id = next((i for i in token_ids if i != padding), token_ids[0])
    if _runs(runner, token_id, stated, d_model):
        return stated
    fits, too_long = len(token_ids), stated
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _runs(runner, token_id, middle, d_model):
            fits = middle
        else:
            too_long = middle
    return fits


def _runs(runner: Runner, token_id: int, length: int, d_model: int) -> bool:
    try:
        runner.tail(np.zeros((length, d_model), np.float32), token_id, last_only=True)
    except InlookError:
        return False
    return True


def _has_table(runner: Runner, anatomy: Anatomy, stated: int) -> bool:
    in_blocks = {id(m) for block in anatomy.blocks for m in block.module.modules()}
    words = runner.model.get_input_embeddings()
    return any(
        tensor.ndim >= 2 and abs(tensor.shape[0] - stated) <= NEAR
        for module in anatomy.decoder.modules()
        if id(module) not in in_blocks and module is not words
        for tensor in (*module.buffers(recurse=False), *module.parameters(recurse=False))
    )
