"""How does a block join its parts to the residual stream?

Found by looking at which outputs add up to which inputs while a few tokens ran through it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_hooks.parts.abilities import Wiring
from model_hooks.parts.anatomy import BlockAnatomy, Tap, is_norm
from model_hooks.parts.probe import BlockRun, ModuleCall


class Join(NamedTuple):
    """How a block joins its parts to the stream, and where to read them."""

    wiring: Wiring
    attn_out: Tap | None = None
    resid_mid: Tap | None = None
    mlp_out: Tap | None = None


def block_anatomy(
    path: str, block: nn.Module, attention: tuple[str, nn.Module] | None, run: BlockRun
) -> BlockAnatomy:
    """Find out how a block is wired.

    Args:
        path: Its path in the model.
        block: The module.
        attention: Path and module of its attention, if it has one.
        run: What its modules took and gave.
    """
    join = _join(run, path, attention[1] if attention else None)
    return BlockAnatomy(
        module=block,
        path=path,
        attention=attention[1] if attention else None,
        attention_path=attention[0] if attention else None,
        wiring=join.wiring,
        attn_out=join.attn_out,
        resid_mid=join.resid_mid,
        mlp_out=join.mlp_out,
        output_length=run.output_length,
        norm_placement=_norm_placement(run, join),
    )


def _join(run: BlockRun, path: str, attention: nn.Module | None) -> Join:
    """The first way of joining that fits what was seen."""
    if run.input.shape != run.output.shape:
        return Join("unknown")
    inside = [call for call in run.calls if call.output.numel() == run.input.numel()]
    times = Counter(call.module for call in inside)
    once = [call for call in inside if times[call.module] == 1]
    # What runs twice in a block (one dropout after both parts) tells neither part from the other.
    for calls in (once, inside) if len(once) < len(inside) else (inside,):
        if (found := _first_fit(run, path, calls)) is not None:
            return found
    # What attention gave; the rest of the change is the rest.
    taps = (call.tap() for call in inside if call.module is attention)
    return Join("unknown", attn_out=next(taps, None))


def _first_fit(run: BlockRun, path: str, inside: list[ModuleCall]) -> Join | None:
    children = [call for call in inside if call.path.count(".") == path.count(".") + 1]
    attempts = [(find, children) for find in (_post, _sequential, _parallel, _single, _fused)]
    attempts += [(_post, inside), (_sequential, inside), (_halves, children)]
    found = (find(run.input, run.output, calls) for find, calls in attempts)
    return next((join for join in found if join is not None), None)


def _post(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """x1 = norm(pre + a); post = norm(x1 + m): the block of 2017."""
    for second in (call for call in calls if _same(call.output, post)):
        before = calls[: calls.index(second)]
        for first in before:
            earlier, between = calls[: calls.index(first)], before[before.index(first) + 1 :]
            a = _added(first.input, pre, earlier)
            m = None if a is None else _added(second.input, first.output, between)
            if m is not None:
                return Join("post", a, first.tap(), m)
    return None


def _added(total: Tensor, start: Tensor, calls: Iterable[ModuleCall]) -> Tap | None:
    """Where to read what was added to `start` to give `total`: the first output that fits."""
    for call in calls:
        if (scale := _scale(total, start, call.output)) is not None:
            return call.tap(scale)
    return None


def _sequential(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """Mid = pre + a; post = mid + m."""
    for i, reader in enumerate(calls):
        for a in calls[:i]:
            if (scale := _scale(reader.input, pre, a.output)) is None:
                continue
            if (m := _added(post, reader.input, reversed(calls[i:]))) is not None:
                # What lies between is then a sum that anybody can take: not worth keeping.
                return Join("sequential", a.tap(scale), None, m)
            if any(_same(m.output, post) for m in calls[i:]):  # adds the residual itself
                return Join("sequential", a.tap(scale), reader.tap_of_input())
    return None


def _parallel(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """Post = pre + a + m."""
    for i, a in enumerate(calls):
        for m in calls[i + 1 :]:
            if _scale(post, pre, a.output.reshape(pre.shape) + m.output.reshape(pre.shape)) == 1:
                return Join("parallel", attn_out=a.tap(), mlp_out=m.tap())
    return None


def _single(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """Post = pre + m: a block with one part only (Mamba; Nemotron-H alternates them)."""
    for part in reversed(calls):
        if (scale := _scale(post, pre, part.output)) is not None:
            name = type(part.module).__name__.lower()
            if any(word in name for word in ("mlp", "moe", "feedforward", "ffn")):
                return Join("sequential", mlp_out=part.tap(scale))
            return Join("sequential", attn_out=part.tap(scale))
    return None


def _fused(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """The sublayers add the residual themselves: mid and post are outputs of children."""
    ends = [call for call in calls if _same(call.output, post)]
    for i, mid in enumerate(calls):
        readers = [c for c in calls[i + 1 :] if _same(c.input, mid.output)]
        if readers and ends and mid is not ends[0] and not is_norm(mid.module):
            return Join("sequential", resid_mid=mid.tap())
    return None


def _halves(pre: Tensor, post: Tensor, calls: list[ModuleCall]) -> Join | None:
    """Some state in the middle, from which one part leads to post, or which the last norm reads."""
    for i, call in enumerate(calls[:-1]):
        for state, tap in ((call.input, call.tap_of_input), (call.output, call.tap)):
            if state.numel() != pre.numel() or _same(state, pre) or _same(state, post):
                continue
            if (m := _added(post, state, calls[i + 1 :])) is not None:
                return Join("sequential", resid_mid=tap(), mlp_out=m)
    outputs = [call.output for call in calls]
    readers = [
        call
        for call in calls
        if is_norm(call.module)
        and call.input.numel() == pre.numel()
        and not _same(call.input, pre)
        and not any(_same(output, call.input) for output in outputs)
    ]
    if len(readers) == 1:
        return Join("sequential", resid_mid=readers[0].tap_of_input())
    return None


def as_its_kind(block: BlockAnatomy, others: Iterable[BlockAnatomy]) -> BlockAnatomy:
    """Wire a block that gave nothing away (it hardly moved the stream) as the others of its class.

    That happens in trained models of low precision.
    """
    if block.wiring != "unknown":
        return block
    for other in others:
        same_kind = type(other.module) is type(block.module)
        alike = same_kind and (other.attention is None) == (block.attention is None)
        if alike and other.wiring != "unknown":
            return replace(
                block,
                wiring=other.wiring,
                norm_placement=other.norm_placement,
                attn_out=_moved(other.attn_out, other, block),
                resid_mid=_moved(other.resid_mid, other, block),
                mlp_out=_moved(other.mlp_out, other, block),
            )
    return block


def _moved(tap: Tap | None, source: BlockAnatomy, target: BlockAnatomy) -> Tap | None:
    """The tap at the same place in another block."""
    if tap is None:
        return None
    inside = tap.path.removeprefix(f"{source.path}.")
    module = target.module.get_submodule(inside)
    return replace(tap, module=module, path=f"{target.path}.{inside}")


def _norm_placement(run: BlockRun, join: Join) -> str:
    """Where the norms are: before the parts, after them (or on the sum), or on both sides."""
    norms = [call for call in run.calls if is_norm(call.module)]
    pre = any(_same(call.input, run.input) for call in norms)
    on_parts = any(is_norm(tap.module) for tap in (join.attn_out, join.mlp_out) if tap is not None)
    post = on_parts or any(_same(call.output, run.output) for call in norms)
    return {(True, True): "pre and post", (False, True): "post"}.get((pre, post), "pre")


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, position by position, but for rounding."""
    if a.numel() != b.numel():
        return False
    gap = _norms(a.reshape(b.shape) - b)
    return bool((gap <= _rounding(b) * _norms(b)).all())


def _scale(total: Tensor, start: Tensor, addend: Tensor) -> float | None:
    """Return s such that total = start + s * addend, or None if there is none.

    Every position must agree: the first one of a trained model is often so large that it would
    drown the others.
    """
    if total.numel() != start.numel():
        return None
    total = total.reshape(start.shape).double()
    difference, addend = total - start.double(), addend.reshape(start.shape).double()
    # Per position, so that each counts the same.
    size = _norms(addend)
    # Nothing at all is added where all neurons of a ReLU are off.
    added = size > 0
    if not bool(added.any()):
        return None
    scale = float((_norms(difference)[added] / size[added]).median())
    if float((difference * addend).sum()) < 0:
        scale = -scale
    scale = 1.0 if abs(scale - 1) < 1e-2 else scale
    gap = _norms(difference - scale * addend)
    rounding = _rounding(start) * (_norms(total) + _norms(start))
    if not bool((gap <= rounding).all()):
        return None
    # What hardly moves the stream would match anything.
    if not bool((_norms(difference) > 4 * rounding).any()):
        return None
    return scale


def _norms(tensor: Tensor) -> Tensor:
    """Length of each vector."""
    return tensor.double().norm(dim=-1)


def _rounding(tensor: Tensor) -> float:
    return 1e-5 if tensor.dtype in (torch.float32, torch.float64) else 4e-3
