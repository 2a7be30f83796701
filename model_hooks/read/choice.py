"""From the final vector to a choice: one token's logit, entropy, surprisal and draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.errors import PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.probing import calls_of
from model_hooks.read.attribution import softcap_of
from model_hooks.read.lens import rows_at_once
from model_hooks.run.trace import Trace, check_index, to_array
from model_hooks.write.decoding import MIN_TEMPERATURE, Decoding
from model_hooks.write.stages import Stage

_TOLERANCE = {"float64": 1e-4, "float32": 1e-4}
_COARSE_TOLERANCE = 0.03


@dataclass(frozen=True, eq=False)
class TokenScore:
    """How the LM head makes one token's logit: a dot product, and what the family adds."""

    token_id: int
    vector: Float[np.ndarray, "d_head_in"]
    """What enters the LM head: the final vector, after the final norm."""
    row: Float[np.ndarray, "d_head_in"]
    """The token's row of the LM head's weight."""
    bias: float
    """The token's bias; 0 where the LM head has none."""
    scale: float
    """What the family multiplies every score by; 1 in most."""
    softcap: float | None
    """c of c * tanh(score / c), which some families apply last."""
    logit: float
    """The model's own."""
    is_exact: bool
    """Whether these steps give the model's logit."""

    @property
    def product(self) -> float:
        """The dot product of vector and row."""
        return float(self.vector.astype(np.float64) @ self.row.astype(np.float64))

    @property
    def score(self) -> float:
        """What the steps give: the logit, where they are all there are."""
        score = (self.product + self.bias) * self.scale
        if self.softcap is None:
            return score
        return self.softcap * float(np.tanh(score / self.softcap))

    @property
    def difference(self) -> float:
        """How far that is from the model's own logit."""
        return abs(self.score - self.logit)


def token_score(
    model: HookedModel, trace: Trace, token_id: int, pos: int = -1
) -> TokenScore | None:
    """Take apart how the LM head scores one token after a position.

    Returns:
        None where the model has no LM head that is one linear layer.

    Raises:
        PromptError: The trace lacks that position, or the model that token.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    if not 0 <= token_id < model.info.vocab_size:
        raise PromptError(f"Token ID {token_id} is out of range for this model.")
    head = model.anatomy.lm_head
    if head is None:
        return None
    with calls_of([head]) as calls:
        logits = model.logits_of(trace.layers[-1].resid_post[[pos]])[0].astype(np.float64)
    weight = to_array(head.weight) if getattr(head.weight, "ndim", 0) == 2 else None
    if not calls[head] or calls[head][-1].input is None or weight is None:
        return None
    vector = to_array(calls[head][-1].input).reshape(-1, calls[head][-1].input.shape[-1])[-1]
    if weight.shape != (len(logits), len(vector)):
        return None
    bias = getattr(head, "bias", None)
    biases = np.zeros(len(logits)) if bias is None else to_array(bias).astype(np.float64)
    plain = weight.astype(np.float64) @ vector.astype(np.float64) + biases
    tolerance = _TOLERANCE.get(model.info.dtype, _COARSE_TOLERANCE)
    found = (1.0, None, False)
    # A config may name a softcap that the family does not apply.
    for softcap in dict.fromkeys((None, softcap_of(model))):
        before = logits if softcap is None else _before_softcap(logits, softcap)
        scale = float(plain @ before / (plain @ plain)) if plain.any() else 1.0
        if abs(scale - 1) < tolerance:
            scale = 1.0
        scores = plain * scale
        if softcap is not None:
            scores = softcap * np.tanh(scores / softcap)
        if np.abs(scores - logits).max() <= tolerance * max(1.0, np.abs(logits).max()):
            found = (scale, softcap, True)
            break
    scale, softcap, is_exact = found
    return TokenScore(
        token_id, vector, weight[token_id], float(biases[token_id]), scale, softcap,
        float(logits[token_id]), is_exact,
    )  # fmt: skip


class Surprisals(NamedTuple):
    """How unexpected each token of a text was to the model, from the tokens before it."""

    bits: Float[np.ndarray, "pos"]
    """-log2 of its probability; NaN for the first token, which nothing predicts."""
    ranks: Int[np.ndarray, "pos"]
    """Its place among all tokens, from 1; 0 for the first token."""
    top_ids: Int[np.ndarray, "pos"]
    """The token that was expected most; -1 for the first token."""
    top_probabilities: Float[np.ndarray, "pos"]


def surprisals(model: HookedModel, trace: Trace) -> Surprisals:
    """Return the surprisal of every token of a trace, in bits (Shannon 1948: -log2 p)."""
    n_tokens = len(trace)
    bits, top_p = np.full(n_tokens, np.nan), np.full(n_tokens, np.nan)
    ranks, top_ids = np.zeros(n_tokens, np.int64), np.full(n_tokens, -1)
    final = trace.layers[-1].resid_post
    for start in range(0, n_tokens - 1, step := rows_at_once(model)):
        rows = slice(start, min(start + step, n_tokens - 1))
        logits = torch.tensor(model.logits_of(final[rows]), dtype=torch.float64)
        log_probs = torch.log_softmax(logits, -1)
        after = slice(rows.start + 1, rows.stop + 1)
        ids = torch.tensor(np.asarray(trace.token_ids[after], np.int64))[:, None]
        own = log_probs.gather(1, ids)
        best, best_ids = log_probs.max(-1)
        bits[after] = (-own[:, 0] / np.log(2)).numpy()
        ranks[after] = ((log_probs > own).sum(-1) + 1).numpy()
        top_ids[after], top_p[after] = best_ids.numpy(), best.exp().numpy()
    return Surprisals(bits, ranks, top_ids, top_p)


def entropy_curve(
    decoding: Decoding,
    logits: Float[np.ndarray, "vocab"],
    prefix_ids: Sequence[int] | np.ndarray,
    temperatures: Sequence[float] | np.ndarray,
) -> Float[np.ndarray, "2 temperature"]:
    """Return the entropy in bits that sampling would have at each temperature.

    Args:
        decoding: The other options; its temperature is not used.
        logits: The model's logits after the last position.
        prefix_ids: The token IDs so far.
        temperatures: Where to compute it.

    Returns:
        Without the filters, and with those that `decoding` switches on.
    """
    sampling = replace(decoding, strategy="sample")
    free = replace(sampling, top_k=None, top_p=None, min_p=None)
    filtered = sampling != free
    curves = []
    for options in (free, sampling) if filtered else (free,):
        at = [replace(options, temperature=max(MIN_TEMPERATURE, float(t))) for t in temperatures]
        curves.append([one.stages(logits, prefix_ids)[-1].entropy_bits for one in at])
    return np.array(curves if filtered else curves * 2) + 0.0  # no negative zeros


def draw_counts(stage: Stage, n_draws: int, seed: int) -> Int[np.ndarray, "vocab"]:
    """Draw tokens from a distribution, independently, and count how often each one came."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(
        torch.tensor(stage.probabilities), n_draws, replacement=True, generator=generator
    )
    return torch.bincount(drawn, minlength=len(stage.scores)).numpy()


def _before_softcap(
    logits: Float[np.ndarray, "vocab"], softcap: float
) -> Float[np.ndarray, "vocab"]:
    # Rounding may put a capped score on the cap itself, which stands for infinity.
    return softcap * np.arctanh(np.clip(logits / softcap, -1 + 1e-7, 1 - 1e-7))
