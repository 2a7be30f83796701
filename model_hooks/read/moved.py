"""What does a model compute of a text that begins at another position than 0?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_hooks.arrays import check_count, read_only, softmax, to_array
from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.run import capture
from model_hooks.run.attention import kv_head_of
from model_hooks.run.interventions import Intervention
from model_hooks.run.numbers import explained
from model_hooks.run.trace import Trace

HIGHEST_POSITION = 2**31 - 1


class QueryKey(NamedTuple):
    """What one layer compares, for every text of a batch, after any position encoding."""

    query: Float[np.ndarray, "text head pos d_head"]
    key: Float[np.ndarray, "text kv_head pos d_head"]

    def kv_head(self, head: int) -> int:
        """Return the KV head whose keys a query head reads: neighbours share one."""
        return kv_head_of(head, self.query.shape[1], self.key.shape[1])


class Ran(NamedTuple):
    """What a batch of texts gave."""

    embedding: Float[np.ndarray, "text pos d_model"]
    """What enters the first block."""
    layers: tuple[QueryKey | None, ...]
    """None where they could not be seen."""
    logits: Float[np.ndarray, "text vocab"]
    """After the last position."""


class MovedScores(NamedTuple):
    """How scores change when the whole text stands somewhere else, in a model's own runs."""

    differences: Float[np.ndarray, "layer head"]
    """The largest change of any score of the products of query and key; NaN where unseen."""
    largest: Float[np.ndarray, "layer head"]
    """The largest size of these products themselves."""


def next_token_at(model: HookedModel, trace: Trace, first: int) -> Float[np.ndarray, "vocab"]:
    """Return the probabilities of the next token with a run's whole text moved.

    Args:
        model: The model.
        trace: A run; what was changed in it is changed here, too.
        first: The position of its first token.

    Raises:
        PromptError: This model cannot be told positions, or not such high ones.
    """
    return softmax(_moved(model, trace, first).logits[0])


def moved_shares(
    model: HookedModel, trace: Trace, firsts: tuple[int, ...]
) -> Float[np.ndarray, "first"]:
    """Return how much of the next token's probability goes to other tokens at other positions.

    Each is the `moved_share` between the prediction of the run itself and the moved one.

    Args:
        model: The model.
        trace: A run; what was changed in it is changed here, too.
        firsts: Positions of its first token.

    Raises:
        PromptError: This model cannot be told positions, or not such high ones.
    """
    before = softmax(trace.last_logits)
    moved = (next_token_at(model, trace, first) for first in firsts)
    return read_only(np.array([moved_share(before, after) for after in moved]))


def moved_share(before: Float[np.ndarray, "vocab"], after: Float[np.ndarray, "vocab"]) -> float:
    """Return how much probability went to other tokens, from 0 to 1 (total variation distance)."""
    return 0.5 * float(np.abs(after - before).sum())


def moved_scores(model: HookedModel, trace: Trace, first: int) -> MovedScores:
    """Compare every product of a query and a key with its own when the whole text is moved.

    Args:
        model: The model.
        trace: A run; what was changed in it is changed here, too.
        first: The position of its first token.

    Raises:
        PromptError: This model cannot be told positions, or not such high ones.
    """
    compared, moved = at_once(model, trace), _moved(model, trace, first).layers
    n_heads = max((one.query.shape[1] for one in compared if one), default=0)
    differences, largest = np.full((2, trace.n_layers, n_heads), np.nan)
    for layer, (here, there) in enumerate(zip(compared, moved, strict=True)):
        if here is None or there is None:
            continue
        for head in range(here.query.shape[1]):
            product, again = (_products(one, head) for one in (here, there))
            differences[layer, head] = np.abs(again - product).max()
            largest[layer, head] = np.abs(product).max()
    return MovedScores(read_only(differences), read_only(largest))


def at_once(model: HookedModel, trace: Trace) -> tuple[QueryKey | None, ...]:
    """Return what every layer of a run compared, after any position encoding.

    Unlike the trace itself, this also reads the families that keep their queries and keys to
    themselves (GPT-J), as long as they multiply them with `torch.matmul`: for them, the text runs
    once more.
    """
    layers = [trace.layers[i] for i in trace.attention_layers]
    if any(layer.query is None or layer.key is None for layer in layers):
        return _moved(model, trace, 0).layers
    return tuple(
        None
        if layer.query is None or layer.key is None
        else QueryKey(layer.query[None], layer.key[None])
        for layer in trace.layers
    )


@torch.inference_mode()
def run_at(
    model: HookedModel,
    texts: Sequence[Sequence[int]],
    firsts: Sequence[int],
    interventions: Sequence[Intervention] = (),
) -> Ran:
    """Run texts of one length as a batch, each from its own first position on.

    Args:
        model: The model.
        texts: Token IDs.
        firsts: The position of each one's first token.
        interventions: What to change; then there is one text.

    Raises:
        PromptError: This model cannot be told positions, or not such high ones.
    """
    if len(texts) > 1 and model.anatomy.layout.other_axes != (1, -1):
        # Parallel streams have an axis of their own, which a batch's would be taken for.
        each = [
            run_at(model, [text], [first], interventions)
            for text, first in zip(texts, firsts, strict=True)
        ]
        return _joined(each)
    n_tokens = len(texts[0])
    input_ids = torch.tensor([list(text) for text in texts], device=model.model.device)
    options = _options(model, n_tokens, firsts)
    with (
        explained(model.model, n_tokens),
        capture.recording(None, interventions, n_tokens) as record,
        _ScoreProducts(record) as products,
    ):
        try:
            output = model.model(input_ids=input_ids, **options)
        except IndexError as error:
            raise PromptError(
                f"{model.info.name} ({model.info.family}) has no position "
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
    return Ran(embedding, tuple(layers), to_array(output.logits[:, -1]))


def _joined(each: Sequence[Ran]) -> Ran:
    """Runs of single texts as one of a batch."""
    layers: list[QueryKey | None] = []
    for same in zip(*(ran.layers for ran in each), strict=True):
        there = [layer for layer in same if layer is not None]
        pairs = zip(*there, strict=True)
        layers.append(QueryKey(*map(np.concatenate, pairs)) if len(there) == len(same) else None)
    return Ran(
        np.concatenate([ran.embedding for ran in each]),
        tuple(layers),
        np.concatenate([ran.logits for ran in each]),
    )


def _moved(model: HookedModel, trace: Trace, first: int) -> Ran:
    return run_at(model, [trace.token_ids.tolist()], [first], trace.interventions)


def _products(compared: QueryKey, head: int) -> Float[np.ndarray, "pos pos"]:
    return compared.query[0, head] @ compared.key[0, compared.kv_head(head)].T


def _options(model: HookedModel, n_tokens: int, firsts: Sequence[int]) -> dict[str, Any]:
    options: dict[str, Any] = {"use_cache": False}
    firsts = [check_count("first", first, PromptError, 0, HIGHEST_POSITION) for first in firsts]
    if any(firsts):
        if not model.abilities.takes_positions:
            raise PromptError(
                f"{model.info.name} ({model.info.family}) counts positions itself: its text "
                "always begins at position 0."
            )
        options["position_ids"] = torch.tensor(
            [list(range(first, first + n_tokens)) for first in firsts], device=model.model.device
        )
    if model.abilities.keeps_last_logits:
        options["logits_to_keep"] = 1
    return options


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
            if layer not in self.found and self._are_compared(query, key):
                self.found[layer] = (query.detach(), key.detach().transpose(-1, -2))
        return function(*args, **(kwargs or {}))

    def _are_compared(self, query: Tensor, key: Tensor) -> bool:
        """Whether two factors are all queries and all keys, the latter turned on their side."""
        n_tokens = self.record.n_positions
        return (
            query.ndim == key.ndim == 4
            and query.shape[2] == key.shape[3] == n_tokens
            and query.shape[3] == key.shape[2] > 1
        )
