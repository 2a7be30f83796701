"""How a model knows the order of words: found by trying, with the config as the fallback.

One token is run alone at several positions. Attention then has nothing to choose from, so whatever
differs was put there by the position: an added vector (learned or sinusoidal), turned queries and
keys (rotary), or nothing. A text that repeats one token shows what is added to the scores (ALiBi
and other biases): without it, equal keys get equal weights.
"""

import inspect
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_hooks.errors import InlookError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.rotation import Rotation, fit_rotation
from model_hooks.run import capture
from model_hooks.run.trace import to_array

PositionKind = Literal["learned", "sinusoidal", "rotary", "alibi", "relative", "none", "unknown"]
"""What tells a model the order of its tokens."""

START = 1
"""The position to compare with: at 0, some recurrent layers behave in a way of their own."""
PROBES = tuple(START + 2**i for i in range(12))
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


class QueryKey(NamedTuple):
    """What one layer compares, for every text of a batch."""

    query: Float[np.ndarray, "text head pos d_head"]
    key: Float[np.ndarray, "text kv_head pos d_head"]


_found: WeakKeyDictionary[HookedModel, Positions] = WeakKeyDictionary()
_lock = threading.Lock()


def positions_of(hooked: HookedModel) -> Positions:
    """Return what tells a model the order of its tokens; found once per model."""
    with _lock:
        if hooked not in _found:
            _found[hooked] = _find(hooked)
        return _found[hooked]


def takes_positions(hooked: HookedModel) -> bool:
    """Whether the model can be told the positions of its tokens (`position_ids`)."""
    return "position_ids" in inspect.signature(hooked.model.forward).parameters


def queries_and_keys(
    hooked: HookedModel, token_ids: Sequence[int], first: int = 0
) -> tuple[QueryKey | None, ...]:
    """Return what every layer compares, as it stands after any position encoding.

    Unlike a trace, this also reads the families that keep their queries and keys to themselves
    (GPT-J), as long as they multiply them with `torch.matmul`.

    Args:
        hooked: The model.
        token_ids: The text.
        first: The position of the first token.

    Raises:
        PromptError: This model cannot be told another first position.
    """
    return _run(hooked, [list(token_ids)], [first]).layers


def next_token_at(
    hooked: HookedModel, token_ids: Sequence[int], firsts: Sequence[int]
) -> Float[np.ndarray, "first vocab"]:
    """Return the probabilities of the next token with the whole text moved to other positions.

    Args:
        hooked: The model.
        token_ids: The text.
        firsts: Positions of its first token; each gives one row.

    Raises:
        PromptError: This model cannot be told positions, or not such high ones.
    """
    rows = [_run(hooked, [list(token_ids)], [first]).logits[0] for first in firsts]
    return to_array(torch.softmax(torch.tensor(np.stack(rows)).double(), -1))


class _Run(NamedTuple):
    embedding: Float[np.ndarray, "text pos d_model"]
    layers: tuple[QueryKey | None, ...]
    logits: Float[np.ndarray, "text vocab"]


@torch.inference_mode()
def _run(hooked: HookedModel, texts: Sequence[Sequence[int]], firsts: Sequence[int]) -> _Run:
    """Run texts of one length as a batch, each from its own first position on."""
    device, n_tokens = hooked.model.device, len(texts[0])
    options: dict[str, Any] = {"use_cache": False}
    if any(firsts):
        if not takes_positions(hooked):
            raise PromptError(
                f"{hooked.info.name} ({hooked.info.family}) counts positions itself: its text "
                "always begins at position 0."
            )
        options["position_ids"] = torch.tensor(
            [list(range(first, first + n_tokens)) for first in firsts], device=device
        )
    if "logits_to_keep" in inspect.signature(hooked.model.forward).parameters:
        options["logits_to_keep"] = 1
    input_ids = torch.tensor([list(text) for text in texts], device=device)
    with capture.recording(None, (), n_tokens) as record, _ScoreProducts(record) as products:
        try:
            output = hooked.model(input_ids=input_ids, **options)
        except IndexError as error:
            raise PromptError(
                f"{hooked.info.name} ({hooked.info.family}) has no position "
                f"{max(firsts) + n_tokens - 1}."
            ) from error
    layers: list[QueryKey | None] = []
    for layer in record.layers:
        call = layer.calls[-1] if layer.calls else None
        if call is not None and call.inputs is not None:
            layers.append(QueryKey(to_array(call.inputs.query), to_array(call.inputs.key)))
        else:
            found = products.found.get(layer.layer)
            layers.append(None if found is None else QueryKey(*map(to_array, found)))
    embedding = to_array(record.layers[0].resid_pre).reshape(len(texts), n_tokens, -1)
    return _Run(embedding, tuple(layers), to_array(output.logits[:, -1]))


_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)


class _ScoreProducts(TorchFunctionMode):
    """Keeps the first product of queries and keys in each layer, where nothing records them."""

    def __init__(self, record: capture.Recording) -> None:
        super().__init__()
        self.record = record
        self.found: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _PRODUCTS and self.record.layers and len(args) == 2:
            layer, (query, key) = self.record.layers[-1].layer, args
            n_tokens = self.record.n_positions
            if (
                layer not in self.found
                and query.ndim == key.ndim == 4
                and query.shape[2] == key.shape[3] == n_tokens
                and query.shape[3] == key.shape[2] > 1
            ):
                self.found[layer] = (query.detach(), key.detach().transpose(-1, -2))
        return function(*args, **(kwargs or {}))


def _find(hooked: HookedModel) -> Positions:
    declared: PositionKind = _DECLARED.get(hooked.info.position, hooked.info.position)
    attention = hooked.info.attention_layers
    unread = Positions(
        kind=declared,
        layers=tuple(declared if i in attention else None for i in range(hooked.info.n_layers)),
        rotations=(None,) * hooked.info.n_layers,
        table=None, slopes=None, bias=None, measured=False,
        rope_type=_rope_setting(hooked, "rope_type"), base=_rope_setting(hooked, "rope_theta"),
        reason=None,
    )  # fmt: skip
    try:
        return _measure(hooked, unread)
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


def _measure(hooked: HookedModel, unread: Positions) -> Positions:
    probe = _probe(hooked)
    tolerance = 1e-3 if hooked.info.dtype in ("float32", "float64") else 5e-2
    scale = np.linalg.norm(probe.embedding[0], axis=-1).max()
    moved = np.abs(probe.embedding - probe.embedding[0]).max() > 1e-5 * scale
    attention = hooked.info.attention_layers
    if moved:
        return _absolute(hooked, unread, probe)
    rotations = [_rotation(hooked, i, probe, tolerance) for i in range(hooked.info.n_layers)]
    turned = [_changes(vectors, tolerance) for vectors in probe.queries_and_keys]
    if any(rotations):
        odd = [i for i, rotation in enumerate(rotations) if rotation is None and turned[i]]
        kinds = ["rotary" if r else "unknown" if i in odd else "none"
                 for i, r in enumerate(rotations)]  # fmt: skip
        reason = None
        if odd:
            reason = (
                f"In layers {', '.join(map(str, odd))}, queries and keys change with the position "
                "in a way that is no rotation."
            )
        return replace(
            unread, kind="rotary", rotations=tuple(rotations), measured=True, reason=reason,
            layers=tuple(k if i in attention else None for i, k in enumerate(kinds)),
        )  # fmt: skip
    if any(turned):
        return replace(
            unread,
            reason="Queries and keys change with the position in a way that is no plain rotation.",
        )
    return _biased(hooked, unread)


def _probe(hooked: HookedModel) -> _Probe:
    size, n_rows = hooked.info.context_size or PROBES[-1], hooked.info.vocab_size
    token_ids = [n_rows // 2, n_rows // 3]
    if takes_positions(hooked):
        positions = [START, *(p for p in PROBES if p < size)]
        texts = [[token] for token in token_ids for _ in positions]
        run = _run(hooked, texts, positions * len(token_ids))
        # [text, 1, d] and [text, head, 1, d] -> the position first
        shape = (len(token_ids), len(positions))
        embedding = run.embedding.reshape(*shape, -1).swapaxes(0, 1)

        def samples(layer: QueryKey) -> np.ndarray:
            both = [v.reshape(*shape, *v.shape[1:2], v.shape[-1]) for v in layer]
            joined = np.concatenate(both, 2).swapaxes(0, 1)
            return joined.reshape(shape[1], -1, joined.shape[-1])
    else:
        n_tokens = min(size, 40)
        positions = [START, *(p for p in PROBES if p < n_tokens)]
        run = _run(hooked, [[token] * n_tokens for token in token_ids], [0] * len(token_ids))
        embedding = run.embedding[:, positions].swapaxes(0, 1)

        def samples(layer: QueryKey) -> np.ndarray:
            both = [v[:, :, positions].transpose(2, 0, 1, 3) for v in layer]
            joined = np.concatenate(both, 2)
            return joined.reshape(len(positions), -1, joined.shape[-1])

    found = [
        None if layer is None or layer.query.shape[-1] != layer.key.shape[-1] else samples(layer)
        for layer in run.layers
    ]
    return _Probe(positions, embedding, found)


def _changes(vectors: Float[np.ndarray, "pos sample d_head"] | None, tolerance: float) -> bool:
    if vectors is None:
        return False
    scale = np.linalg.norm(vectors[0], axis=-1).max()
    return bool(np.abs(vectors - vectors[0]).max() > 0.1 * tolerance * scale)


def _rotation(hooked: HookedModel, layer: int, probe: _Probe, tolerance: float) -> Rotation | None:
    vectors = probe.queries_and_keys[layer]
    if vectors is None:
        return None
    known = [
        to_array(buffer)
        for module in hooked.anatomy.decoder.modules()
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


def _absolute(hooked: HookedModel, unread: Positions, probe: _Probe) -> Positions:
    table = _table(hooked, probe)
    kind = unread.kind if unread.kind in ("learned", "sinusoidal") else "learned"
    if table is not None:
        lengths = np.linalg.norm(table.vectors, axis=-1)
        # The squares of a sine and its cosine sum to 1, so every vector is equally long.
        even = np.ptp(lengths) < 1e-3 * lengths.mean()
        size = (table.vectors.shape[1] / 2) ** 0.5
        kind = "sinusoidal" if even and abs(lengths.mean() / size - 1) < 0.05 else "learned"
    layers = tuple(None if k is None else kind for k in unread.layers)
    return replace(unread, kind=kind, layers=layers, table=table, measured=True)


def _table(hooked: HookedModel, probe: _Probe) -> PositionTable | None:
    """The tensor whose rows differ as what enters the first block does at different positions."""
    blocks = {id(m) for block in hooked.anatomy.blocks for m in block.module.modules()}
    words = hooked.model.get_input_embeddings()
    steps = (probe.embedding[1:] - probe.embedding[0]).mean(1, dtype=np.float64)
    by_name: PositionTable | None = None
    for path, module in hooked.model.named_modules():
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
                    return PositionTable(to_array(tensor)[offset:], where, offset, True)
            if any(word in f"{path}.{name}" for word in ("position", "wpe", "pos_")):
                offset = getattr(module, "offset", 0) or 0
                by_name = PositionTable(to_array(tensor)[offset:], where, offset, False)
    return by_name


def _biased(hooked: HookedModel, unread: Positions) -> Positions:
    """What is added to the scores by distance, seen in a text that repeats one token."""
    n_tokens = min(hooked.info.context_size or BIAS_LENGTH, BIAS_LENGTH)
    trace = hooked.trace([hooked.info.vocab_size // 2] * n_tokens)
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


def _rope_setting(hooked: HookedModel, name: str) -> Any:
    """One of transformers' rope settings; None if there is none, or one per kind of layer."""
    config = hooked.model.config.get_text_config(decoder=True)
    settings = getattr(config, "rope_parameters", None)
    return settings.get(name) if isinstance(settings, dict) else None
