"""What do final norm, LM head and softcap make of vectors in the residual stream?

Full logits of a long text would fill memory, so rows go through in pieces.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from model_hooks.arrays import check_index, has_few_digits
from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.run.trace import Trace

MAX_ROWS = 256
MAX_LOGITS = 2**24
"""Rows, and numbers, that go through the LM head at once: full logits are never kept."""
_CAPS = (
    "final_logit_softcapping",
    "final_logit_softcap",
    "logits_soft_cap",
    "output_logit_soft_cap",
)
"""What configs call the cap c of `c * tanh(score / c)`, the last thing some families do."""


def logits_after(model: HookedModel, trace: Trace, pos: int = -1) -> Float[np.ndarray, "vocab"]:
    """Return the logits after a position of a run.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    if pos == len(trace) - 1:
        return trace.last_logits
    return model.logits_of(trace.layer_output(-1)[[pos]])[0]


def rows_at_once(model: HookedModel) -> int:
    """Return how many rows may go through the LM head together.

    They stand for positions of one text there: no more than the context holds.
    """
    fitting = max(1, MAX_LOGITS // model.info.vocab_size)
    return min(MAX_ROWS, fitting, model.info.context_size or MAX_ROWS)


def logits_in_pieces(
    model: HookedModel, rows: Float[np.ndarray, "row d_model"]
) -> Iterator[tuple[slice, Float[np.ndarray, "some vocab"]]]:
    """Yield the logits of some rows after the others, with which rows they are."""
    step = rows_at_once(model)
    for start in range(0, len(rows), step):
        some = slice(start, min(start + step, len(rows)))
        yield some, model.logits_of(rows[some])


def logits_of_rows(
    model: HookedModel,
    rows: Float[np.ndarray, "row d_model"],
    token_ids: list[int] | slice = slice(None),
) -> Float[np.ndarray, "row token"]:
    """Return the logits of some tokens for any number of rows."""
    return np.concatenate([logits[:, token_ids] for _, logits in logits_in_pieces(model, rows)])


def softcap_of(model: HookedModel) -> float | None:
    """Return the c of `c * tanh(score / c)` that a config names for its logits, if it does."""
    config = model.model.config.get_text_config(decoder=True)
    return next((cap for name in _CAPS if (cap := getattr(config, name, None))), None)


def before_softcap(
    logits: Float[np.ndarray, "..."], softcap: float | None
) -> Float[np.ndarray, "..."]:
    """Return the scores that a softcap made logits of; without one, the logits are the scores."""
    if softcap is None:
        return logits
    # Rounding may put a capped score on the cap itself, which stands for infinity.
    return softcap * np.arctanh(np.clip(logits / softcap, -1 + 1e-7, 1 - 1e-7))


def after_softcap(
    scores: Float[np.ndarray, "..."], softcap: float | None
) -> Float[np.ndarray, "..."]:
    """Return what a softcap makes of scores."""
    return scores if softcap is None else softcap * np.tanh(scores / softcap)


def tolerance_of(model: HookedModel) -> float:
    """Return by how much a sum may differ from the model's, relative to the size of its parts."""
    return 3e-2 if has_few_digits(model.info.dtype) else 1e-4
