"""How does a model know the order of words? Found by trying, with the config as the fallback.

One token is run alone at several positions. Attention then has nothing to choose from, so whatever
differs was put there by the position: an added vector (learned or sinusoidal), turned queries and
keys (rotary), or nothing. A text that repeats one token shows what is added to the scores (ALiBi
and other biases): without it, equal keys get equal weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from model_hooks.arrays import read_only, to_array
from model_hooks.errors import InlookError
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.read.moved import QueryKey, Ran, run_at
from model_hooks.read.rotation import Rotation, fit_rotation

PositionKind = Literal["learned", "sinusoidal", "rotary", "alibi", "relative", "none", "unknown"]
"""What tells a model the order of its tokens."""

START = 1
"""The position to compare with: at 0, some recurrent layers behave in a way of their own."""
PROBES = tuple(START + 2**i for i in range(12))
REPEATED = 40
"""Tokens of a text that repeats one of them."""
BIAS_LENGTH = 24
_DECLARED = {"rope": "rotary"}


@dataclass(frozen=True, eq=False)
class PositionTable:
    """The vectors that a model adds to its tokens' embeddings, one per position."""

    vectors: Float[np.ndarray, "pos d"]
    path: str
    """The module that holds them."""
    offset: int
    """The row of position 0: some families keep the first rows for padding."""
    exact: bool
    """Whether running a token at two positions changed what enters the first block by exactly the
    difference of the two rows; a norm or a projection in between scales it."""


@dataclass(frozen=True, eq=False)
class Positions:
    """What tells one model the order of its tokens."""

    kind: PositionKind
    layers: tuple[PositionKind | None, ...]
    """What each layer uses itself; `none` where its attention adds nothing about positions, None
    where it has no attention."""
    rotations: tuple[Rotation | None, ...]
    """Per layer, how its queries and keys turn."""
    table: PositionTable | None
    slopes: Float[np.ndarray, "head"] | None
    """ALiBi: what one position of distance takes off a head's score, in the first layer."""
    bias: Float[np.ndarray, "head distance"] | None
    """What the first layer adds to its scores by distance, counted from distance 0."""
    rope_type: str | None
    """transformers' name of the scaling of the rotation: `default`, `linear`, `yarn`..."""
    base: float | None
    """The number that the wavelengths of a rotation are powers of (`rope_theta`)."""
    measured: bool
    """False where only config and module names were read."""
    reason: str | None
    """Why something could not be found out, as a sentence."""

    @property
    def n_without(self) -> int:
        """Layers whose attention is told nothing about positions, in a rotary model."""
        return sum(kind == "none" for kind in self.layers) if self.kind == "rotary" else 0


def _declared(position: str) -> PositionKind:
    """The kind that a model's own name for it stands for."""
    kinds: dict[str, PositionKind] = {kind: kind for kind in get_args(PositionKind)}
    return kinds.get(_DECLARED.get(position, position), "unknown")


@once_per_model
def positions_of(model: HookedModel) -> Positions:
    """Return what tells a model the order of its tokens; found once per model."""
    attention = model.info.attention_layers
    declared = _declared(model.info.position)
    unread = Positions(
        kind=declared,
        layers=tuple(declared if i in attention else None for i in range(model.info.n_layers)),
        rotations=(None,) * model.info.n_layers,
        table=None,
        slopes=None,
        bias=None,
        rope_type=_rope_setting(model, "rope_type"),
        base=_rope_setting(model, "rope_theta"),
        measured=False,
        reason=None,
    )
    try:
        return _measure(model, unread)
    except (InlookError, RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        return replace(
            unread,
            reason=f"This model could not be tried at other positions ({type(error).__name__}), so "
            "only its configuration was read.",
        )


class _Probe(NamedTuple):
    """One token alone at several positions, or, where positions cannot be told, repeated."""

    positions: list[int]
    embedding: Float[np.ndarray, "pos text d_model"]
    """What enters the first block."""
    queries_and_keys: list[Float[np.ndarray, "pos sample d_head"] | None]
    """Per layer, the queries and keys of all heads side by side."""


def _measure(model: HookedModel, unread: Positions) -> Positions:
    probe = _probe_alone(model) if model.abilities.takes_positions else _probe_repeated(model)
    tolerance = 1e-3 if model.info.dtype in ("float32", "float64") else 5e-2
    scale = np.linalg.norm(probe.embedding[0], axis=-1).max()
    if np.abs(probe.embedding - probe.embedding[0]).max() > 1e-5 * scale:
        return _absolute(model, unread, probe)
    rotations = tuple(_rotation(model, i, probe, tolerance) for i in range(model.info.n_layers))
    turned = [_changes(vectors, tolerance) for vectors in probe.queries_and_keys]
    if any(rotations):
        return _rotary(unread, rotations, turned)
    if any(turned):
        return replace(
            unread,
            reason="Queries and keys change with the position in a way that is no plain rotation.",
        )
    return _biased(model, unread)


def _rotary(
    unread: Positions, rotations: tuple[Rotation | None, ...], turned: list[bool]
) -> Positions:
    """Say of every layer whether it turns; some do not, and some do otherwise."""
    odd = [i for i, rotation in enumerate(rotations) if rotation is None and turned[i]]
    kinds: list[PositionKind] = [
        "rotary" if rotation else "unknown" if i in odd else "none"
        for i, rotation in enumerate(rotations)
    ]
    with_attention = [kind is not None for kind in unread.layers]
    reason = (
        f"In layers {', '.join(map(str, odd))}, queries and keys change with the position in a way "
        "that is no rotation."
    )
    return replace(
        unread,
        kind="rotary",
        rotations=rotations,
        layers=tuple(
            kind if has else None for kind, has in zip(kinds, with_attention, strict=True)
        ),
        measured=True,
        reason=reason if odd else None,
    )


def _probe_ids(model: HookedModel) -> list[int]:
    return [model.info.vocab_size // 2, model.info.vocab_size // 3]


def _probe_alone(model: HookedModel) -> _Probe:
    """Run each token by itself at every position."""
    size, token_ids = model.info.context_size or PROBES[-1], _probe_ids(model)
    positions = [START, *(p for p in PROBES if p < size)]
    texts = [[token] for token in token_ids for _ in positions]
    ran = run_at(model, texts, positions * len(token_ids))
    # [text, 1, d] and [text, head, 1, d] -> the position first
    shape = (len(token_ids), len(positions))

    def at_positions(vectors: np.ndarray) -> np.ndarray:
        each = vectors.reshape(*shape, *vectors.shape[1:2], vectors.shape[-1])
        return each.swapaxes(0, 1)

    return _Probe(
        positions,
        ran.embedding.reshape(*shape, -1).swapaxes(0, 1),
        _side_by_side(ran, at_positions),
    )


def _probe_repeated(model: HookedModel) -> _Probe:
    """Run each token again and again in one text."""
    n_tokens = min(model.info.context_size or PROBES[-1], REPEATED)
    positions = [START, *(p for p in PROBES if p < n_tokens)]
    token_ids = _probe_ids(model)
    ran = run_at(model, [[token] * n_tokens for token in token_ids], [0] * len(token_ids))
    return _Probe(
        positions,
        ran.embedding[:, positions].swapaxes(0, 1),
        _side_by_side(ran, lambda vectors: vectors[:, :, positions].transpose(2, 0, 1, 3)),
    )


def _side_by_side(
    ran: Ran, at_positions: Callable[[np.ndarray], np.ndarray]
) -> list[Float[np.ndarray, "pos sample d_head"] | None]:
    """Queries and keys of all heads per layer, [pos, text, head, d_head] joined to samples."""

    def samples(layer: QueryKey) -> np.ndarray:
        joined = np.concatenate([at_positions(vectors) for vectors in layer], 2)
        return joined.reshape(len(joined), -1, joined.shape[-1])

    return [
        None if layer is None or layer.query.shape[-1] != layer.key.shape[-1] else samples(layer)
        for layer in ran.layers
    ]


def _changes(vectors: Float[np.ndarray, "pos sample d_head"] | None, tolerance: float) -> bool:
    if vectors is None:
        return False
    scale = np.linalg.norm(vectors[0], axis=-1).max()
    return bool(np.abs(vectors - vectors[0]).max() > 0.1 * tolerance * scale)


def _rotation(model: HookedModel, layer: int, probe: _Probe, tolerance: float) -> Rotation | None:
    vectors = probe.queries_and_keys[layer]
    if vectors is None:
        return None
    known = [
        to_array(buffer)
        for module in model.anatomy.decoder.modules()
        for name, buffer in _tensors(module)
        if name.endswith("inv_freq") and "original" not in name and buffer.ndim == 1
    ]
    steps = [position - probe.positions[0] for position in probe.positions[1:]]
    return fit_rotation(vectors[0], vectors[1:], steps, tolerance, known)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own parameters, buffers and plain tensors."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield name, value


def _absolute(model: HookedModel, unread: Positions, probe: _Probe) -> Positions:
    table = _table(model, probe)
    kind = unread.kind if unread.kind in ("learned", "sinusoidal") else "learned"
    if table is not None:
        lengths = np.linalg.norm(table.vectors, axis=-1)
        # The squares of a sine and its cosine sum to 1, so every vector is equally long.
        even = np.ptp(lengths) < 1e-3 * lengths.mean()
        size = (table.vectors.shape[1] / 2) ** 0.5
        kind = "sinusoidal" if even and abs(lengths.mean() / size - 1) < 0.05 else "learned"
    layers = tuple(None if k is None else kind for k in unread.layers)
    return replace(unread, kind=kind, layers=layers, table=table, measured=True)


def _table(model: HookedModel, probe: _Probe) -> PositionTable | None:
    """The tensor whose rows differ as what enters the first block does at different positions."""
    blocks = {id(m) for block in model.anatomy.blocks for m in block.module.modules()}
    words = model.model.get_input_embeddings()
    steps = (probe.embedding[1:] - probe.embedding[0]).mean(1, dtype=np.float64)
    by_name: PositionTable | None = None
    for path, module in model.model.named_modules():
        if id(module) in blocks or module is words:
            continue
        for name, tensor in _tensors(module):
            if tensor.ndim != 2 or len(tensor) <= probe.positions[-1]:
                continue
            where = path if name in ("weight", "weights") else f"{path}.{name}"
            if tensor.shape[1] != steps.shape[1]:
                continue
            rows = to_array(tensor).astype(np.float64)
            for offset in range(min(4, len(rows) - probe.positions[-1])):
                there = rows[np.array(probe.positions) + offset]
                gap = np.abs(there[1:] - there[0] - steps).max()
                if gap <= 2e-3 * np.abs(steps).max():
                    return PositionTable(_rows_from(offset, tensor), where, offset, True)
            if any(word in f"{path}.{name}" for word in ("position", "wpe", "pos_")):
                offset = getattr(module, "offset", 0) or 0
                by_name = PositionTable(_rows_from(offset, tensor), where, offset, False)
    return by_name


def _rows_from(offset: int, tensor: Tensor) -> Float[np.ndarray, "pos d"]:
    return read_only(to_array(tensor)[offset:].copy())


def _biased(model: HookedModel, unread: Positions) -> Positions:
    """What is added to the scores by distance, seen in a text that repeats one token."""
    n_tokens = min(model.info.context_size or BIAS_LENGTH, BIAS_LENGTH)
    trace = model.trace([model.info.vocab_size // 2] * n_tokens)
    layer = trace.layers[trace.attention_layers[0]]
    stream = layer.resid_pre
    if np.abs(stream - stream[0]).max() > 1e-3 * np.abs(stream).max():
        return replace(
            unread,
            reason="Other parts than attention mix the positions before its first layer, so what "
            "attention itself adds could not be separated.",
        )
    last = layer.attention[:, -1, ::-1].astype(np.float64)
    with np.errstate(divide="ignore"):
        bias = np.log(last) - np.log(last[:, :1])
    readable = np.isfinite(bias).all(0)
    bias, distance = bias[:, readable], np.arange(n_tokens)[readable]
    if np.abs(bias).max() < 1e-3:
        kinds = tuple(None if k is None else "none" for k in unread.layers)
        return replace(unread, kind="none", layers=kinds, bias=bias, measured=True)
    slopes = -(bias @ distance) / (distance @ distance)
    is_linear = np.abs(bias + slopes[:, None] * distance).max() < 1e-2 * np.abs(bias).max()
    kind: PositionKind = "alibi" if is_linear else "relative"
    return replace(
        unread,
        kind=kind,
        layers=tuple(None if k is None else kind for k in unread.layers),
        slopes=slopes if is_linear else None,
        bias=bias,
        measured=True,
    )


def _rope_setting(model: HookedModel, name: str) -> Any:
    """One of transformers' rope settings; None if there is none, or one per kind of layer."""
    config = model.model.config.get_text_config(decoder=True)
    settings = getattr(config, "rope_parameters", None)
    return settings.get(name) if isinstance(settings, dict) else None
