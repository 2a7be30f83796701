"""How does one token's vector grow and turn from layer to layer?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks.arrays import check_index, read_only
from model_hooks.errors import PromptError
from model_hooks.run.trace import Trace


class Growth(NamedTuple):
    """One token's vector at the embedding and after each layer."""

    norms: Float[np.ndarray, "point"]
    """Its length."""
    typical_norms: Float[np.ndarray, "point"]
    """Median length over all tokens."""
    with_previous: Float[np.ndarray, "point"]
    """Cosine with the state one layer earlier; NaN for the embedding."""
    with_last: Float[np.ndarray, "point"]
    """Cosine with the state after the last layer."""


def growth(trace: Trace, pos: int) -> Growth:
    """Measure how one token's vector grows and turns.

    Raises:
        PromptError: The trace lacks that position.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    states = np.stack([trace.embedding, *(layer.resid_post for layer in trace.layers)])
    states = states.astype(np.float64)
    norms, mine = np.linalg.norm(states, axis=-1), states[:, pos]
    return Growth(
        norms=read_only(norms[:, pos].copy()),
        typical_norms=read_only(np.median(norms, axis=1)),
        with_previous=read_only(np.array([np.nan, *map(cosine, mine, mine[1:])])),
        with_last=read_only(np.array([cosine(state, mine[-1]) for state in mine])),
    )


def cosine(a: Float[np.ndarray, "d"], b: Float[np.ndarray, "d"]) -> float:
    """Return the cosine of the angle between two vectors; NaN where one is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")
