"""What is a model's KV cache trusted for? Only what a few tokens came out right with."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from model_hooks.errors import InlookError
from model_hooks.run.capture import LayerRecord
from model_hooks.run.runner import Ran, Runner
from model_hooks.write.caching import fork, shortened


def try_cache(runner: Runner, token_ids: tuple[int, ...]) -> Runner:
    """Learn how this family goes on from a KV cache; one that never gets it right goes without.

    Most count the positions in the cache themselves, a few must be told (Bamba), and some of
    those that can be told count them in another way (RoBERTa). By several tokens, or from a cache
    that was cut, is trusted only where it was tried, too.
    """
    truth = runner.whole(token_ids).segment.layers
    for told in (False, True) if runner.ways.takes_positions else (False,):
        tried = replace(runner, ways=replace(runner.ways, names_positions=told))
        begun = _begun(tried, token_ids[:-1])
        if begun is not None and begun.cache is None:
            break
        # Twice from the same: a fork must leave it as it was.
        if begun is not None and all(
            _goes_on(tried, token_ids, 1, fork(begun.cache), truth) for _ in range(2)
        ):
            return _try_padding(_try_many(tried, token_ids, begun.cache, truth), token_ids)
    return replace(runner, ways=replace(runner.ways, names_positions=False, **_WITHOUT_CACHE))


_TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""By how much what a layer adds may differ, relative to its size: by rounding, not by a shortcut.

Zamba's state space layers take several tokens by one, which is off by 2e-4.
"""
_WITHOUT_CACHE = {"continues": False, "continues_by_many": False, "shortens": False}


def _try_many(
    runner: Runner, token_ids: tuple[int, ...], cache: Any, truth: Sequence[LayerRecord]
) -> Runner:
    """Learn whether a cache takes several tokens at once, and whether it can be cut before."""
    half = len(token_ids) // 2
    cut = None
    with contextlib.suppress(Exception):  # a cache class of the family's own may refuse
        cut = shortened(cache, half)
    shortens = cut is not None and _goes_on(runner, token_ids, half, cut, truth)
    by_many = shortens
    if not shortens and (begun := _begun(runner, token_ids[:half])) is not None:
        by_many = _goes_on(runner, token_ids, half, begun.cache, truth)
    ways = replace(runner.ways, continues_by_many=by_many, shortens=shortens)
    return replace(runner, ways=ways)


def _try_padding(runner: Runner, token_ids: tuple[int, ...]) -> Runner:
    """Learn whether a padding token in the text makes its cache wrong, where a family looks."""
    padding = getattr(runner.model.config.get_text_config(decoder=True), "pad_token_id", None)
    counts = any(
        getattr(module, "padding_idx", None) is not None
        and not isinstance(module, (nn.Embedding, PreTrainedModel))
        for module in runner.model.modules()
    )
    if padding is None or not counts:
        return runner
    padded = (*token_ids[:2], int(padding), *token_ids[3:])
    truth, begun = runner.whole(padded).segment.layers, _begun(runner, padded[:-1])
    if begun is not None and _goes_on(runner, padded, 1, begun.cache, truth):
        return runner
    return replace(runner, ways=replace(runner.ways, uncounted_id=int(padding)))


def _begun(runner: Runner, token_ids: tuple[int, ...]) -> Ran | None:
    try:
        return runner.record(token_ids, len(token_ids), use_cache=True)
    except InlookError:
        return None


def _goes_on(
    runner: Runner, token_ids: tuple[int, ...], n_new: int, cache: Any, truth: Sequence[LayerRecord]
) -> bool:
    """Whether the last positions come out of a cache as they do of a run of the whole text.

    Compared is what each layer adds: it may be small beside the stream that it is added to.
    """
    try:
        layers = runner.record(token_ids, n_new, cache, use_cache=True).segment.layers
    except InlookError:
        return False
    return len(layers) == len(truth) and all(map(partial(_adds_the_same, n_new), layers, truth))


def _adds_the_same(n_new: int, layer: LayerRecord, true: LayerRecord) -> bool:
    if layer.resid_post is None or true.resid_post is None:
        return False
    pre, post = true.resid_pre[-n_new:].double(), true.resid_post[-n_new:].double()
    added = layer.resid_post.double() - layer.resid_pre.double()
    gap, dtype = (added - (post - pre)).norm(), true.resid_post.dtype
    rounding = 8 * torch.finfo(dtype).eps * (pre.norm() + post.norm())
    return bool(gap <= _TOLERANCES.get(dtype, 5e-2) * (post - pre).norm() + rounding)
