"""What does a model predict with a share of what fine-tuning changed, from none to twice as much?

Run A is the base's, run B the tuned one's; every model reads B's text.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from model_hooks.arrays import check_count, check_index, log_softmax, read_only
from model_hooks.errors import ModelTooLargeError, PromptError
from model_hooks.experiments.tuned import (
    WeightChange,
    are_siblings,
    at_scale,
    check_siblings,
    weight_changes,
    weights_at,
)
from model_hooks.loading import MEMORY_SHARE, free_bytes
from model_hooks.model import HookedModel
from model_hooks.read.between import Other, check_vocabularies, kl_bits
from model_hooks.run.trace import Trace

SCALES = tuple(i / 4 for i in range(9))
"""From the base (0) over the tuned model (1) to twice its change."""
MOST_TOKENS = 20


@dataclass(frozen=True, eq=False)
class Shares:
    """What models with shares of a change predict."""

    scales: tuple[float, ...]
    token_ids: tuple[int, ...]
    """The tokens that any of them expects most after the position, the surest first."""
    probabilities: Float[np.ndarray, "scale token"]
    kl_base: Float[np.ndarray, "scale pos"]
    """KL(model||base) in bits after each position of the text."""


def is_fine_tuned(model: HookedModel, other: Other) -> bool:
    """Tell whether the other model can be this one after more training: same names and shapes."""
    return model is not other.model and are_siblings(model, other.model)


def changes_between(model: HookedModel, other: Other) -> tuple[WeightChange, ...]:
    """Return how far each array of weights moved from this model to the other one.

    Raises:
        NotSiblingsError: They are no base and its fine-tuned copy.
    """
    return weight_changes(model, other.model)


def shares_of_change(
    model: HookedModel, trace: Trace, other: Other, pos: int = -1, n_tokens: int = 6
) -> Shares:
    """Run a text through models between this one and its fine-tuned copy, and beyond.

    Args:
        model: The base.
        trace: A run of it; only its model counts.
        other: The tuned model, and the text.
        pos: After which position of the text the tokens are looked at.
        n_tokens: How many of them.

    Raises:
        NotSiblingsError: They are no base and its fine-tuned copy.
        ComparisonError: Their vocabularies differ.
        PromptError: The text lacks that position, or no token is asked for.
        ModelTooLargeError: There is no room for a third model.
    """
    tuned, text = other
    pos = check_index("position", pos, len(text), PromptError)
    n_tokens = check_count("n_tokens", n_tokens, PromptError, 1, MOST_TOKENS)
    check_siblings(model, tuned)
    check_vocabularies(model, tuned)
    _check_room(model)
    made = at_scale(model, tuned, 0.0)
    rows, distances, base = [], [], None
    for scale in SCALES:
        with torch.no_grad():
            made.model.load_state_dict(weights_at(model, tuned, scale))
        log_probs = log_softmax(made.logits(made.trace(text.token_ids, text.interventions)))
        base = log_probs if base is None else base
        distances.append(kl_bits(log_probs, base))
        rows.append(np.exp(log_probs[pos]))
    at = np.stack(rows)
    best = np.argsort(-at.max(0), kind="stable")[:n_tokens]
    ids = tuple(int(token_id) for token_id in best)
    return Shares(SCALES, ids, read_only(at[:, best]), read_only(np.stack(distances)))


def _check_room(model: HookedModel) -> None:
    needed = 2 * sum(one.nbytes for one in model.model.parameters())
    if needed > (room := MEMORY_SHARE * free_bytes(model.info.device)):
        raise ModelTooLargeError(
            f"A model in between needs about {needed / 1e9:.1f} GB beside the two, but only "
            f"{room / 1e9:.1f} GB of memory are free."
        )
