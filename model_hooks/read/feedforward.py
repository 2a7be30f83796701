"""What does a whole feedforward do to the model's guess: before and after it, and without it?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_hooks.arrays import check_index, read_only, softmax
from model_hooks.errors import LayerError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.lens import ranks_of
from model_hooks.read.tail import logits_in_pieces
from model_hooks.run.interventions import AblateMLP
from model_hooks.run.prompts import check_token_ids
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class FeedforwardLens:
    """One token through the logit lens, right before and right after each layer's feedforward.

    NaN in layers that have no feedforward.
    """

    layers: tuple[int, ...]
    """The layers that have one."""
    logits: Float[np.ndarray, "layer side"]
    """Column 0 is before, column 1 after."""
    probabilities: Float[np.ndarray, "layer side"]
    ranks: Int[np.ndarray, "layer side"]
    """From 1; equal logits rank by token ID."""


def feedforward_lens(
    model: HookedModel, trace: Trace, token_id: int, pos: int = -1
) -> FeedforwardLens:
    """Follow one token's logit, probability and rank across every feedforward.

    Before it, the stream holds what attention added. Blocks that run both in parallel never hold
    that state; it is the sum of what came in and what attention gives.

    Raises:
        PromptError: The trace lacks that position, or the model that token.
        LayerError: No layer has a feedforward.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    check_token_ids([token_id], model.info.vocab_size)
    layers = model.abilities.feedforward_layers
    if not layers:
        raise LayerError("No layer of this model has a feedforward.")
    states = np.stack(
        [
            side[pos]
            for layer in layers
            for side in (trace.layers[layer].resid_mid, trace.layers[layer].resid_post)
        ]
    )
    shape = (trace.n_layers, 2)
    logits, probabilities = np.full(shape, np.nan), np.full(shape, np.nan)
    ranks = np.zeros(shape, np.int64)
    places = [(layer, side) for layer in layers for side in (0, 1)]
    for some, rows in logits_in_pieces(model, states):
        chances = softmax(rows)[:, token_id]
        of_token = rows[:, token_id], chances, ranks_of(rows, [token_id])[:, 0]
        for place, logit, chance, rank in zip(places[some], *of_token, strict=True):
            logits[place], probabilities[place], ranks[place] = logit, chance, rank
    return FeedforwardLens(layers, *map(read_only, (logits, probabilities, ranks)))


def probabilities_without(
    model: HookedModel, trace: Trace, layer: int | None, pos: int = -1
) -> Float[np.ndarray, "vocab"]:
    """Return the next token's probabilities after a position, one feedforward switched off.

    It adds nothing at any position of the text up to there. The text runs once more, under the
    trace's interventions.

    Args:
        model: The model.
        trace: A trace of that model.
        layer: The layer; None leaves all as they are.
        pos: The position.

    Raises:
        PromptError: The trace lacks that position.
        InterventionError: The feedforward cannot be switched off in this model.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    if layer is None and pos == len(trace) - 1:
        return softmax(trace.last_logits)
    off = () if layer is None else (AblateMLP(layer),)
    return softmax(model.run_again(trace, stop=pos + 1, also=off).last_logits)
