"""What would the model predict if it stopped in the middle of its layers (the logit lens)?

Every row goes through the model's own tail (final norm, LM head, scaling), so the last row is the
output (nostalgebraist 2020, "interpreting GPT: the logit lens").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.arrays import check_count, check_index, read_only, to_array
from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.read.tail import logits_of_rows, rows_at_once
from model_hooks.run.trace import Trace
from model_hooks.text.readings import ids_inside


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


@dataclass(frozen=True, eq=False)
class TokenLens:
    """What the lens says of some tokens at every point of one position's stream."""

    points: tuple[Point, ...]
    pos: int
    leading: Int[np.ndarray, "point k"]
    """The most probable tokens of each point, the best first; equal ones by token ID."""
    token_ids: tuple[int, ...]
    """Those that were asked about and those that lead somewhere, each once, in order."""
    log_probs: Float[np.ndarray, "point token"]
    ranks: Int[np.ndarray, "point token"]
    """From 1; equal ones rank by token ID."""


class CheckedOutput(NamedTuple):
    """What the model says after a position, found in two ways."""

    log_probs: Float[np.ndarray, "vocab"]
    """Of the model's own output, from another run of the text up to there."""
    difference: float
    """The largest difference between its probabilities and those of the lens's last row."""


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
    start: int = 0,
    stop: int | None = None,
    halves: bool = False,
    n_top: int = 3,
) -> Lens:
    """Apply the logit lens to every point of the stream at some positions.

    Args:
        model: The model.
        trace: A trace of that model.
        start: The first position.
        stop: The position after the last one; None for the end of the text.
        halves: Also look between attention and feedforward.
        n_top: How many of the most probable tokens to keep.

    Raises:
        PromptError: No position is chosen, or no token kept.
    """
    n_top = check_count("n_top", n_top, PromptError, 1)
    start, stop, _ = slice(start, stop).indices(len(trace))
    if start >= stop:
        raise PromptError(f"There are no positions from {start} to {stop} in this text.")
    points, n_pos = stream_points(model, halves), stop - start
    rows = stream_at(trace, points, slice(start, stop)).reshape(len(points) * n_pos, -1)
    grid = _Grid(len(points), n_pos, min(n_top, model.info.vocab_size))
    # From the last point backwards: which token is the final one must be known for all others.
    last_point, end = len(rows) - n_pos, len(rows)
    while end > 0:
        begin = max(0, end - rows_at_once(model), last_point if end > last_point else 0)
        grid.fill(slice(begin, end), torch.tensor(model.logits_of(rows[begin:end])))
        end = begin
    return Lens(points, start, **grid.shaped())


class _Grid:
    """The arrays of a `Lens`, point after point in one row, filled from the last point on."""

    def __init__(self, n_points: int, n_pos: int, n_top: int) -> None:
        self.n_points, self.n_pos = n_points, n_pos
        n_rows = n_points * n_pos
        self.top_ids = np.empty((n_rows, n_top), np.int64)
        self.top_probabilities = np.empty((n_rows, n_top), np.float32)
        self.final_ids = np.empty(n_pos, np.int64)
        self.final_ranks = np.empty(n_rows, np.int64)
        self.final_probabilities = np.empty(n_rows, np.float32)

    def fill(self, some: slice, logits: torch.Tensor) -> None:
        """Take in the logits of some rows, all of them of the last point or none."""
        columns = np.arange(some.start, some.stop) % self.n_pos
        normaliser = logits.logsumexp(-1, keepdim=True)
        best, ids = logits.topk(self.top_ids.shape[1])
        self.top_ids[some], self.top_probabilities[some] = ids, (best - normaliser).exp()
        if some.stop > (self.n_points - 1) * self.n_pos:
            self.final_ids[columns] = ids[:, 0]
        final = torch.tensor(self.final_ids[columns])[:, None]
        score = logits.gather(1, final)
        self.final_ranks[some] = _ranks(logits, score, final)
        self.final_probabilities[some] = (score - normaliser).exp()[:, 0]

    def shaped(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, by point and position."""
        grid = (self.n_points, self.n_pos)
        return {
            "top_ids": read_only(self.top_ids.reshape(*grid, -1)),
            "top_probabilities": read_only(self.top_probabilities.reshape(*grid, -1)),
            "final_ids": read_only(self.final_ids),
            "final_ranks": read_only(self.final_ranks.reshape(grid)),
            "final_probabilities": read_only(self.final_probabilities.reshape(grid)),
        }


def lens_at(
    model: HookedModel, trace: Trace, pos: int = -1, halves: bool = True
) -> Float[np.ndarray, "point vocab"]:
    """Return the log-probabilities of every token at every point of one position's stream.

    Raises:
        PromptError: The trace lacks that position.
    """
    return _log_probs(model, trace, stream_points(model, halves), pos)


def _log_probs(
    model: HookedModel, trace: Trace, points: Sequence[Point], pos: int
) -> Float[np.ndarray, "point vocab"]:
    pos = check_index("position", pos, len(trace), PromptError)
    rows = stream_at(trace, points, slice(pos, pos + 1))[:, 0]
    return to_array(torch.log_softmax(torch.tensor(logits_of_rows(model, rows)), -1))


def read_tokens(
    model: HookedModel,
    trace: Trace,
    pos: int = -1,
    token_ids: Sequence[int] = (),
    n_leading: int = 3,
    halves: bool = True,
) -> TokenLens:
    """Say at every point of one position's stream how some tokens stand, and which ones lead.

    Args:
        model: The model.
        trace: A trace of that model.
        pos: The position.
        token_ids: Tokens to ask about.
        n_leading: How many of the most probable tokens of each point are added to them.
        halves: Also look between attention and feedforward.

    Raises:
        PromptError: The trace lacks that position, the vocabulary a token, or none may lead.
    """
    n_leading = check_count("n_leading", n_leading, PromptError, 1)
    n_vocab = model.info.vocab_size
    asked = [check_index("token ID", one, n_vocab, PromptError) for one in token_ids]
    log_probs = lens_at(model, trace, pos, halves)
    points, at = stream_points(model, halves), check_index("position", pos, len(trace), PromptError)
    return among(points, at, log_probs, asked, n_leading)


def among(
    points: tuple[Point, ...],
    pos: int,
    log_probs: Float[np.ndarray, "point vocab"],
    token_ids: Sequence[int],
    n_leading: int,
) -> TokenLens:
    """Keep of a lens over all tokens what it says of some and of those that lead."""
    leading = np.argsort(-log_probs, axis=-1, kind="stable")[:, :n_leading]
    chosen = tuple(sorted({*token_ids, *leading.ravel().tolist()}))
    columns = read_only(np.ascontiguousarray(log_probs[:, chosen]))
    return TokenLens(points, pos, read_only(leading), chosen, columns, ranks_of(log_probs, chosen))


def checked_output(model: HookedModel, trace: Trace, pos: int = -1) -> CheckedOutput:
    """Return the model's own output after a position, and how far the lens is from it.

    Raises:
        PromptError: The trace lacks that position.
    """
    output = output_log_probs(model, trace, pos)
    (last,) = _log_probs(model, trace, stream_points(model)[-1:], pos)
    return CheckedOutput(output, float(np.abs(np.exp(last) - np.exp(output)).max()))


def ranks_of(
    log_probs: Float[np.ndarray, "point vocab"], token_ids: Sequence[int]
) -> Int[np.ndarray, "point token"]:
    """Return the rank of some tokens in each row, from 1; equal ones rank by token ID."""
    values = torch.tensor(log_probs)
    columns = []
    for token_id in token_ids:
        final = torch.full((len(values), 1), int(token_id))
        columns.append(_ranks(values, values.gather(1, final), final))
    found = np.stack(columns, -1) if columns else np.empty((len(log_probs), 0), np.int64)
    return read_only(found)


def output_log_probs(model: HookedModel, trace: Trace, pos: int = -1) -> Float[np.ndarray, "vocab"]:
    """Return the model's own output after a position, from another run of the text up to there.

    What comes later does not change it, so this is what the lens's last row must equal. It runs
    under the trace's interventions.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    is_last = pos == len(trace) - 1
    logits = trace.last_logits if is_last else model.run_again(trace, stop=pos + 1).last_logits
    return to_array(torch.log_softmax(torch.tensor(logits), -1))


def word_token_ids(model: HookedModel, word: str) -> tuple[int, ...]:
    """Return the token IDs of a word that stands, as it is written, inside a text."""
    return ids_inside(model.tokenizer, model.text.pieces, word)


def _ranks(
    logits: torch.Tensor, score: torch.Tensor, token_ids: torch.Tensor
) -> Int[np.ndarray, "row"]:
    """One plus how many tokens are ahead, by logit and then by ID."""
    n_ahead = (logits > score).sum(-1)
    equal = logits == score
    if bool((equal.sum(-1) > 1).any()):
        n_ahead += (equal & (torch.arange(logits.shape[-1]) < token_ids)).sum(-1)
    return (n_ahead + 1).numpy()
