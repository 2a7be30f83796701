"""The logit lens: what the model would predict if it stopped in the middle of its layers.

Every row goes through the model's own tail (final norm, LM head, scaling), so the last row is the
output (nostalgebraist 2020, "interpreting GPT: the logit lens").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.run.trace import Trace, check_index
from model_hooks.text.tokens import clean_text

MAX_ROWS = 256
MAX_LOGITS = 2**24
"""Rows, and numbers, that go through the LM head at once: full logits are never kept."""


class Point(NamedTuple):
    """A place in the residual stream: right after something was added to it."""

    layer: int
    """-1 for the embedding."""
    after: Literal["embedding", "attention", "feedforward"]


@dataclass(frozen=True, eq=False)
class Lens:
    """What the model would predict at some points of the stream, after some positions.

    The final token of a position is the one the model ends on there: the most probable at the last
    point. Equal logits rank by token ID.
    """

    points: tuple[Point, ...]
    start: int
    """The first position."""
    top_ids: Int[np.ndarray, "point pos k"]
    """The most probable tokens, the best first."""
    top_probabilities: Float[np.ndarray, "point pos k"]
    final_ids: Int[np.ndarray, "pos"]
    final_ranks: Int[np.ndarray, "point pos"]
    """From 1."""
    final_probabilities: Float[np.ndarray, "point pos"]


def stream_points(model: HookedModel, halves: bool = True) -> tuple[Point, ...]:
    """List the points of a model's residual stream: after the embedding and each sublayer.

    Args:
        model: The model.
        halves: Also the points between attention and feedforward. Blocks that run both in parallel
            have no such state.
    """
    points = [Point(-1, "embedding")]
    for layer, block in enumerate(model.anatomy.blocks):
        if halves and block.wiring != "parallel" and len(block.parts) == 2:
            points.append(Point(layer, "attention"))
        points.append(Point(layer, "feedforward"))
    return tuple(points)


def stream_at(
    trace: Trace, points: Sequence[Point], positions: slice
) -> Float[np.ndarray, "point pos d_model"]:
    """Return the residual stream at some points and positions."""
    rows = []
    for point in points:
        if point.after == "embedding":
            rows.append(trace.embedding[positions])
        elif point.after == "attention":
            rows.append(trace.layers[point.layer].resid_mid[positions])
        else:
            rows.append(trace.layers[point.layer].resid_post[positions])
    return np.stack(rows)


def read_lens(
    model: HookedModel,
    trace: Trace,
    positions: slice = slice(None),
    halves: bool = False,
    n_top: int = 3,
) -> Lens:
    """Apply the logit lens to every point of the stream at some positions.

    Args:
        model: The model.
        trace: A trace of that model.
        positions: Which positions, one after the other.
        halves: Also look between attention and feedforward.
        n_top: How many of the most probable tokens to keep.

    Raises:
        PromptError: No position is chosen.
    """
    start, stop, _ = slice(positions.start, positions.stop).indices(len(trace))
    if start >= stop:
        raise PromptError(f"There are no positions from {start} to {stop} in this text.")
    points = stream_points(model, halves)
    n_points, n_pos = len(points), stop - start
    n_top = min(n_top, model.info.vocab_size)
    rows = stream_at(trace, points, slice(start, stop)).reshape(n_points * n_pos, -1)
    top_ids = np.empty((len(rows), n_top), np.int64)
    top_probabilities = np.empty((len(rows), n_top), np.float32)
    final_ranks = np.empty(len(rows), np.int64)
    final_probabilities = np.empty(len(rows), np.float32)
    final_ids = np.empty(n_pos, np.int64)
    # From the last point backwards: which token is the final one must be known first.
    step, end = rows_at_once(model), len(rows)
    while end > 0:
        in_last_point = end > len(rows) - n_pos
        begin = max(0, end - step, len(rows) - n_pos if in_last_point else 0)
        logits = torch.tensor(model.logits_of(rows[begin:end]))
        normaliser = logits.logsumexp(-1, keepdim=True)
        best, ids = logits.topk(n_top)
        top_ids[begin:end] = ids
        top_probabilities[begin:end] = (best - normaliser).exp()
        columns = np.arange(begin, end) % n_pos
        if in_last_point:
            final_ids[columns] = top_ids[begin:end, 0]
        final = torch.tensor(final_ids[columns])[:, None]
        score = logits.gather(1, final)
        final_ranks[begin:end] = _ranks(logits, score, final)
        final_probabilities[begin:end] = (score - normaliser).exp()[:, 0]
        end = begin
    shape = (n_points, n_pos)
    return Lens(
        points=points,
        start=start,
        top_ids=top_ids.reshape(*shape, n_top),
        top_probabilities=top_probabilities.reshape(*shape, n_top),
        final_ids=final_ids,
        final_ranks=final_ranks.reshape(shape),
        final_probabilities=final_probabilities.reshape(shape),
    )


def lens_at(
    model: HookedModel, trace: Trace, pos: int = -1, halves: bool = True
) -> Float[np.ndarray, "point vocab"]:
    """Return the log-probabilities of every token at every point of one position's stream.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    rows = stream_at(trace, stream_points(model, halves), slice(pos, pos + 1))[:, 0]
    step = rows_at_once(model)
    logits = [model.logits_of(rows[i : i + step]) for i in range(0, len(rows), step)]
    return torch.log_softmax(torch.tensor(np.concatenate(logits)), -1).numpy()


def ranks_of(
    log_probs: Float[np.ndarray, "point vocab"], token_ids: Sequence[int]
) -> Int[np.ndarray, "point token"]:
    """Return the rank of some tokens in each row, from 1; equal ones rank by token ID."""
    values = torch.tensor(log_probs)
    columns = []
    for token_id in token_ids:
        final = torch.full((len(values), 1), int(token_id))
        columns.append(_ranks(values, values.gather(1, final), final))
    return np.stack(columns, -1) if columns else np.empty((len(log_probs), 0), np.int64)


def output_log_probs(model: HookedModel, trace: Trace, pos: int = -1) -> Float[np.ndarray, "vocab"]:
    """Return the model's own output after a position, from a plain run of the text up to there.

    What comes later does not change it, so this is what the lens's last row must equal.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    logits = trace.last_logits
    if pos < len(trace) - 1:
        logits = model.trace(trace.token_ids[: pos + 1]).last_logits
    return torch.log_softmax(torch.tensor(logits), -1).numpy()


def word_token_ids(model: HookedModel, word: str) -> tuple[int, ...]:
    """Return a word's token IDs, without the special tokens that a whole text would get."""
    ids = model.tokenizer(clean_text(word), add_special_tokens=False, verbose=False)["input_ids"]
    return tuple(int(token_id) for token_id in ids)


def rows_at_once(model: HookedModel) -> int:
    """Return how many rows may go through the LM head together.

    They stand for positions of one text there: no more than the context holds.
    """
    fitting = max(1, MAX_LOGITS // model.info.vocab_size)
    return min(MAX_ROWS, fitting, model.info.context_size or MAX_ROWS)


def _ranks(
    logits: torch.Tensor, score: torch.Tensor, token_ids: torch.Tensor
) -> Int[np.ndarray, "row"]:
    """One plus how many tokens are ahead, by logit and then by ID."""
    n_ahead = (logits > score).sum(-1)
    equal = logits == score
    if bool((equal.sum(-1) > 1).any()):
        n_ahead += (equal & (torch.arange(logits.shape[-1]) < token_ids)).sum(-1)
    return (n_ahead + 1).numpy()
