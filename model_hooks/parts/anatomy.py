"""Find the parts of any transformers causal LM: blocks, attention, and what each part adds.

No table of class names. transformers declares which modules are blocks and attention layers; how
a block wires them together is found by running a few tokens through it once and looking at which
outputs add up to which inputs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY, OutputRecorder

from model_hooks.errors import BrokenModelError, NotCausalError, NotRecordableError
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


def hidden_states_of(args: tuple, kwargs: dict) -> Tensor:
    """Return the hidden states among a module's arguments or in its output."""
    value = args[0] if args else kwargs.get("hidden_states", next(iter(kwargs.values()), None))
    while isinstance(value, (tuple, list)):
        value = value[0]
    return value


def find_blocks(model: PreTrainedModel) -> tuple[nn.Module, list[tuple[str, nn.Module]]]:
    """Return the decoder and its blocks with their paths, each once.

    A stack of blocks is a `ModuleList` of the decoder that lies in no other one. Of several, those
    with a module that transformers declares to return hidden states count (some decoders run two
    stacks in turn); where nothing is declared, the one as long as the config says, or the heaviest.

    Raises:
        NotRecordableError: The model has no stack of blocks.
    """
    decoder, stacks = _decoder_with_stacks(model)
    declared = _declared(decoder, "hidden_states")
    chosen = [
        stack for stack in stacks if declared and any(isinstance(m, declared) for m in stack[1])
    ]
    if not chosen and stacks:
        n_layers = _n_layers(model)
        by_length = [stack for stack in stacks if len(stack[1]) == n_layers]
        chosen = [max(by_length or stacks, key=lambda stack: _n_weights(stack[1]))]
    if not chosen:
        raise NotRecordableError(
            f"{type(model).__name__} has no stack of transformer blocks that Inlook can find."
        )
    return decoder, [
        (f"{name}.{i}", block) for name, stack in chosen for i, block in enumerate(stack)
    ]


def _decoder_with_stacks(
    model: PreTrainedModel,
) -> tuple[nn.Module, list[tuple[str, nn.ModuleList]]]:
    """The decoder (a few families call their LM head so) and its outermost lists of modules."""
    decoders = [model.get_decoder()] if hasattr(model, "get_decoder") else []
    for decoder in [*decoders, model.base_model]:
        prefix = next((name for name, module in model.named_modules() if module is decoder), "")
        stacks: list[tuple[str, nn.ModuleList]] = []
        for name, module in decoder.named_modules(prefix=prefix):
            inside = any(name.startswith(f"{outer}.") for outer, _ in stacks)
            if isinstance(module, nn.ModuleList) and len(module) and not inside:
                stacks.append((name, module))
        if stacks:
            break
    return decoder, stacks


def _n_layers(model: PreTrainedModel) -> int | None:
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "decoder_layers", None) or getattr(config, "num_hidden_layers", None)


def _n_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def dissect(model: PreTrainedModel, input_ids: Tensor) -> Anatomy:
    """Find the parts of a model by running a few token IDs [1, pos] through it twice.

    Raises:
        NotCausalError: Earlier positions change with later tokens.
        NotRecordableError: There is no stack of blocks.
        BrokenModelError: The model computes values that are not numbers.
    """
    decoder, blocks = find_blocks(model)
    probe = _Probe(model, decoder, blocks)
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
    attention = _attention_modules(decoder, blocks)
    parts = {
        path: _dissect_block(path, block, attention[path], seen[path])
        for path, block in blocks
        if path in seen
    }
    parts = {path: _as_its_kind(block, parts.values()) for path, block in parts.items()}
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


@dataclass(eq=False)
class _Call:
    path: str
    module: nn.Module
    input: Tensor | None
    output: Tensor | None
    live: tuple[Tensor | None, Tensor | None] = (None, None)
    """The tensors themselves; `input` and `output` are copies from the moment of the call."""

    def tap(self, scale: float = 1.0, at_input: bool = False) -> Tap:
        """Return where to read this call's output (or input) in later runs."""
        kept, live = (self.input, self.live[0]) if at_input else (self.output, self.live[1])
        changes = not torch.equal(kept, live)
        return Tap(self.module, self.path, scale, at_input, changes)


@dataclass
class _BlockRun:
    """The last time that a block ran."""

    input: Tensor | None = None
    output: Tensor | None = None
    output_length: int | None = None
    calls: list[_Call] = field(default_factory=list)


class _Probe:
    """Runs the model with temporary hooks on each block and everything inside it."""

    def __init__(
        self, model: PreTrainedModel, decoder: nn.Module, blocks: list[tuple[str, nn.Module]]
    ) -> None:
        self.model, self.decoder, self.blocks = model, decoder, blocks
        self.after: list[_Call] = []
        self.order: list[str] = []

    @torch.inference_mode()
    def run(self, input_ids: Tensor) -> dict[str, _BlockRun]:
        """Run the model once; return what each block that ran took and gave."""
        runs: dict[str, _BlockRun] = {}
        self.after, self.order = [], []
        handles = []
        for path, block in self.blocks:
            handles += self._watch(block, path, runs)
        inside = {id(module) for _, block in self.blocks for module in block.modules()}
        for name, module in self.decoder.named_modules():
            if name and id(module) not in inside and not isinstance(module, nn.ModuleList):
                handles.append(
                    module.register_forward_hook(
                        self._note(name, lambda: self.after), with_kwargs=True
                    )
                )
        try:
            self.model(input_ids=input_ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return {path: run for path, run in runs.items() if run.output is not None}

    def _watch(self, block: nn.Module, path: str, runs: dict[str, _BlockRun]) -> list[Any]:
        def start(_module: nn.Module, args: tuple, kwargs: dict) -> None:
            self.order.append(path)
            runs[path] = _BlockRun(input=hidden_states_of(args, kwargs).clone())

        def end(_module: nn.Module, args: tuple, output: Any) -> None:
            run = runs[path]
            run.output = hidden_states_of((output,), {})
            run.output_length = len(output) if isinstance(output, tuple) else None

        handles = [
            block.register_forward_pre_hook(start, with_kwargs=True),
            block.register_forward_hook(end),
        ]
        for name, inner in block.named_modules():
            if name:
                note = self._note(
                    f"{path}.{name}", lambda: runs.setdefault(path, _BlockRun()).calls
                )
                handles.append(inner.register_forward_hook(note, with_kwargs=True))
        return handles

    @staticmethod
    def _note(path: str, calls: Callable[[], list[_Call]]) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
            tensors = (hidden_states_of(args, kwargs), hidden_states_of((output,), {}))
            shaped = [
                t if isinstance(t, Tensor) and t.is_floating_point() else None for t in tensors
            ]
            copies = [None if t is None else t.clone() for t in shaped]
            calls().append(_Call(path, module, *copies, live=tuple(shaped)))

        return hook


def _form_a_stream(runs: list[_BlockRun]) -> bool:
    """Whether anywhere one block's output is the next one's input."""
    return any(
        one.output.numel() == other.input.numel()
        and torch.equal(one.output.reshape(-1), other.input.reshape(-1))
        for one, other in pairwise(runs)
    )


def _check_causal(
    model: PreTrainedModel,
    probe: _Probe,
    input_ids: Tensor,
    seen: dict[str, _BlockRun],
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


def _attention_modules(
    decoder: nn.Module, blocks: list[tuple[str, nn.Module]]
) -> dict[str, tuple[str, nn.Module] | None]:
    """Per block, the outermost module declared (or named) as attention."""
    declared = _declared(decoder, "attentions")
    found: dict[str, tuple[str, nn.Module] | None] = {}
    for path, block in blocks:
        candidates = [
            (f"{path}.{name}", module)
            for name, module in block.named_modules()
            if name
            and (
                (declared and isinstance(module, declared))
                or (not declared and "attention" in type(module).__name__.lower())
            )
            and any(True for _ in module.parameters())
        ]
        found[path] = candidates[0] if candidates else None
    return found


def _declared(decoder: nn.Module, key: str) -> tuple[type, ...]:
    """The module classes that transformers declares to compute `key`, over all submodels."""
    classes: list[type] = []
    for module in decoder.modules():
        if not isinstance(module, PreTrainedModel):
            continue
        specs = _CAN_RECORD_REGISTRY.get(module).get(key, [])
        for spec in specs if isinstance(specs, (list, tuple)) else [specs]:
            target = spec.target_class if isinstance(spec, OutputRecorder) else spec
            if isinstance(target, type):
                classes.append(target)
    return tuple(classes)


def _dissect_block(
    path: str, block: nn.Module, attention: tuple[str, nn.Module] | None, run: _BlockRun
) -> BlockAnatomy:
    parts: dict[str, Any] = {}
    pre, post = run.input, run.output
    if pre.shape == post.shape:
        inside = [
            call
            for call in run.calls
            if call.input is not None
            and call.output is not None
            and call.output.numel() == pre.numel()
        ]
        children = [call for call in inside if call.path.count(".") == path.count(".") + 1]
        attempts = [(find, children) for find in (_post, _sequential, _parallel, _single, _fused)]
        attempts += [(_post, inside), (_sequential, inside), (_halves, children)]
        for find, calls in attempts:
            if parts := find(pre, post, calls) or {}:
                break
        else:
            parts = _attention_alone(attention, inside)
    return BlockAnatomy(
        module=block,
        path=path,
        attention=attention[1] if attention else None,
        attention_path=attention[0] if attention else None,
        wiring=parts.get("wiring", "unknown"),
        attn_out=parts.get("attn_out"),
        resid_mid=parts.get("resid_mid"),
        mlp_out=parts.get("mlp_out"),
        output_length=run.output_length,
        norm_placement=_norm_placement(run, parts),
    )


def _post(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """x1 = norm(pre + a); post = norm(x1 + m): the block of 2017."""
    for second in (call for call in calls if _same(call.output, post)):
        before = calls[: calls.index(second)]
        for first in before:
            for a in calls[: calls.index(first)]:
                if (scale_a := _scale(first.input, pre, a.output)) is None:
                    continue
                for m in before[before.index(first) + 1 :]:
                    if (scale_m := _scale(second.input, first.output, m.output)) is not None:
                        return {
                            "wiring": "post",
                            "attn_out": a.tap(scale_a),
                            "resid_mid": first.tap(),
                            "mlp_out": m.tap(scale_m),
                        }
    return None


def _sequential(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """Mid = pre + a; post = mid + m."""
    for i, reader in enumerate(calls):
        for a in calls[:i]:
            if (scale_a := _scale(reader.input, pre, a.output)) is None:
                continue
            parts = {
                "wiring": "sequential",
                "attn_out": a.tap(scale_a),
                "resid_mid": reader.tap(at_input=True),
            }
            for m in reversed(calls[i:]):
                if (scale_m := _scale(post, reader.input, m.output)) is not None:
                    # What lies between is then a sum that anybody can take: not worth keeping.
                    return parts | {"mlp_out": m.tap(scale_m), "resid_mid": None}
            if any(_same(m.output, post) for m in calls[i:]):  # adds the residual itself
                return parts
    return None


def _parallel(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """Post = pre + a + m."""
    for i, a in enumerate(calls):
        for m in calls[i + 1 :]:
            if _scale(post, pre, a.output.reshape(pre.shape) + m.output.reshape(pre.shape)) == 1:
                return {"wiring": "parallel", "attn_out": a.tap(), "mlp_out": m.tap()}
    return None


def _single(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """Post = pre + m: a block with one part only (Mamba; Nemotron-H alternates them)."""
    for part in reversed(calls):
        if (scale := _scale(post, pre, part.output)) is not None:
            name = type(part.module).__name__.lower()
            feedforward = any(word in name for word in ("mlp", "moe", "feedforward", "ffn"))
            return {
                "wiring": "sequential",
                "mlp_out" if feedforward else "attn_out": part.tap(scale),
            }
    return None


def _fused(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """The sublayers add the residual themselves: mid and post are outputs of children."""
    ends = [call for call in calls if _same(call.output, post)]
    for i, mid in enumerate(calls):
        readers = [c for c in calls[i + 1 :] if _same(c.input, mid.output)]
        if readers and ends and mid is not ends[0] and not is_norm(mid.module):
            return {"wiring": "sequential", "resid_mid": mid.tap()}
    return None


def _halves(pre: Tensor, post: Tensor, calls: list[_Call]) -> dict | None:
    """Some state in the middle, from which one part leads to post, or which the last norm reads."""
    for i, call in enumerate(calls[:-1]):
        for state, at_input in ((call.input, True), (call.output, False)):
            if state.numel() != pre.numel() or _same(state, pre) or _same(state, post):
                continue
            for m in calls[i + 1 :]:
                if (scale := _scale(post, state, m.output)) is not None:
                    return {
                        "wiring": "sequential",
                        "resid_mid": call.tap(at_input=at_input),
                        "mlp_out": m.tap(scale),
                    }
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
        return {"wiring": "sequential", "resid_mid": readers[0].tap(at_input=True)}
    return None


def _as_its_kind(block: BlockAnatomy, others: Iterable[BlockAnatomy]) -> BlockAnatomy:
    """Wire a block that gave nothing away (it hardly moved the stream) as the others of its class.

    That happens in trained models of low precision.
    """
    if block.wiring != "unknown":
        return block
    for other in others:
        same_kind = type(other.module) is type(block.module)
        if (
            same_kind
            and other.wiring != "unknown"
            and bool(other.attention) == bool(block.attention)
        ):
            taps = {
                name: _moved(getattr(other, name), other, block)
                for name in ("attn_out", "resid_mid", "mlp_out")
            }
            return replace(block, wiring=other.wiring, norm_placement=other.norm_placement, **taps)
    return block


def _moved(tap: Tap | None, source: BlockAnatomy, target: BlockAnatomy) -> Tap | None:
    """The tap at the same place in another block."""
    if tap is None:
        return None
    inside = tap.path.removeprefix(f"{source.path}.")
    module = target.module.get_submodule(inside)
    return replace(tap, module=module, path=f"{target.path}.{inside}")


def _attention_alone(attention: tuple[str, nn.Module] | None, calls: list[_Call]) -> dict:
    """Where the wiring stays unknown: what attention gave; the rest of the change is the rest."""
    for call in calls:
        if attention is not None and call.module is attention[1]:
            return {"attn_out": call.tap()}
    return {}


def _norm_placement(run: _BlockRun, parts: dict[str, Any]) -> str:
    """Where the norms are: before the parts, after them (or on the sum), or on both sides."""
    norms = [call for call in run.calls if is_norm(call.module) and call.input is not None]
    pre = any(_same(call.input, run.input) for call in norms)
    added = [tap.module for name in ("attn_out", "mlp_out") if (tap := parts.get(name))]
    post = any(is_norm(module) for module in added) or any(
        _same(call.output, run.output) for call in norms
    )
    return {(True, True): "pre and post", (False, True): "post"}.get((pre, post), "pre")


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation, by the name of its class."""
    return "norm" in type(module).__name__.lower() and next(module.children(), None) is None


def _same(a: Tensor | None, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, position by position, but for rounding."""
    if a is None or a.numel() != b.numel():
        return False
    gap = _norms(a.reshape(b.shape) - b)
    return bool((gap <= _rounding(b) * _norms(b)).all())


def _scale(total: Tensor | None, start: Tensor, addend: Tensor) -> float | None:
    """Return s such that total = start + s * addend, or None if there is none.

    Every position must agree: the first one of a trained model is often so large that it would
    drown the others.
    """
    if total is None or total.numel() != start.numel():
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


def _final_norm(after: list[_Call], last: Tensor) -> nn.Module | None:
    for call in after:
        if call.live[0] is not None and call.live[0].data_ptr() == last.data_ptr():
            return call.module
    return None
