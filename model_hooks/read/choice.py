"""How does the final vector become a choice: one token's logit, the entropy, surprisal, draws?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from model_hooks.arrays import check_count, check_index, read_only, to_array
from model_hooks.errors import DecodingError, PromptError
from model_hooks.model import HookedModel
from model_hooks.parts.probing import calls_of
from model_hooks.read.tail import (
    after_softcap,
    before_softcap,
    logits_after,
    logits_in_pieces,
    softcap_of,
    tolerance_of,
)
from model_hooks.run.prompts import check_token_ids
from model_hooks.run.trace import Trace
from model_hooks.write.decoding import MAX_SEED, MIN_DIVISOR, Decoding
from model_hooks.write.stages import Stage

MOST_DRAWS = 10**7


@dataclass(frozen=True, eq=False)
class TokenScore:
    """How the LM head makes one token's logit: a dot product, and what the family adds."""

    token_id: int
    path: str
    """The LM head's."""
    n_tokens: int
    """Its rows: tokens of the vocabulary."""
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
        score = np.array([(self.product + self.bias) * self.scale])
        return float(after_softcap(score, self.softcap)[0])

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
    check_token_ids([token_id], model.info.vocab_size)
    table = _lm_head_table(model, trace, pos)
    if table is None:
        return None
    plain = table.weight.astype(np.float64) @ table.vector.astype(np.float64) + table.biases
    scale, softcap, is_exact = _scaling(model, plain, table.logits)
    return TokenScore(
        token_id=token_id,
        path=table.path,
        n_tokens=len(table.weight),
        vector=table.vector,
        row=table.weight[token_id],
        bias=float(table.biases[token_id]),
        scale=scale,
        softcap=softcap,
        logit=float(table.logits[token_id]),
        is_exact=is_exact,
    )


class _Table(NamedTuple):
    """An LM head that is one linear layer, and what it was given and gave."""

    path: str
    weight: Float[np.ndarray, "vocab d_head_in"]
    biases: Float[np.ndarray, "vocab"]
    vector: Float[np.ndarray, "d_head_in"]
    logits: Float[np.ndarray, "vocab"]


def _lm_head_table(model: HookedModel, trace: Trace, pos: int) -> _Table | None:
    head, facts = model.anatomy.lm_head, model.abilities.lm_head
    if head is None or facts is None:
        return None
    with calls_of([head]) as calls:
        logits = model.logits_of(trace.layers[-1].resid_post[[pos]])[0].astype(np.float64)
    given = calls[head][-1].input if calls[head] else None
    own = getattr(head, "weight", None)
    if given is None or own is None or own.ndim != 2:
        return None
    weight, vector = to_array(own), to_array(given).reshape(-1, given.shape[-1])[-1]
    if weight.shape != (len(logits), len(vector)):
        return None
    bias = getattr(head, "bias", None)
    biases = np.zeros(len(logits)) if bias is None else to_array(bias).astype(np.float64)
    return _Table(facts.path, weight, biases, vector, logits)


def _scaling(
    model: HookedModel, plain: Float[np.ndarray, "vocab"], logits: Float[np.ndarray, "vocab"]
) -> tuple[float, float | None, bool]:
    """Return the factor and softcap that make logits of plain scores, and whether they do."""
    tolerance = tolerance_of(model)
    # A config may name a softcap that the family does not apply.
    for softcap in dict.fromkeys((None, softcap_of(model))):
        before = before_softcap(logits, softcap)
        scale = float(plain @ before / (plain @ plain)) if plain.any() else 1.0
        if abs(scale - 1) < tolerance:
            scale = 1.0
        gap = np.abs(after_softcap(plain * scale, softcap) - logits).max()
        if gap <= tolerance * max(1.0, np.abs(logits).max()):
            return scale, softcap, True
    return 1.0, None, False


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
    for rows, logits in logits_in_pieces(model, trace.layers[-1].resid_post[:-1]):
        log_probs = torch.log_softmax(torch.tensor(logits, dtype=torch.float64), -1)
        after = slice(rows.start + 1, rows.stop + 1)
        ids = torch.tensor(np.asarray(trace.token_ids[after], np.int64))[:, None]
        own = log_probs.gather(1, ids)
        best, best_ids = log_probs.max(-1)
        bits[after] = (-own[:, 0] / np.log(2)).numpy()
        ranks[after] = ((log_probs > own).sum(-1) + 1).numpy()
        top_ids[after], top_p[after] = best_ids.numpy(), best.exp().numpy()
    return Surprisals(*map(read_only, (bits, ranks, top_ids, top_p)))


def stages_after(
    model: HookedModel, trace: Trace, decoding: Decoding, pos: int = -1
) -> tuple[Stage, ...]:
    """Return what a token after a position is picked from, after each decoding stage.

    Raises:
        PromptError: The trace lacks that position.
        RunError: The model computes values that are not numbers there.
        DecodingError: The options ask for more than the vocabulary has.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    logits = logits_after(model, trace, pos)
    return decoding.stages(logits, trace.token_ids[: pos + 1])


def entropies_after(
    model: HookedModel,
    trace: Trace,
    decoding: Decoding,
    temperatures: tuple[float, ...],
    pos: int = -1,
) -> Float[np.ndarray, "2 temperature"]:
    """Return the entropy of a token after a position at each temperature; see `entropy_curve`.

    Raises:
        PromptError: The trace lacks that position.
        DecodingError: The options ask for more than the vocabulary has.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    prefix_ids = trace.token_ids[: pos + 1]
    return entropy_curve(decoding, logits_after(model, trace, pos), prefix_ids, temperatures)


def draws_after(
    model: HookedModel, trace: Trace, decoding: Decoding, n_draws: int, seed: int, pos: int = -1
) -> Int[np.ndarray, "vocab"]:
    """Draw a token after a position many times, and count how often each one came.

    Raises:
        PromptError: The trace lacks that position.
        DecodingError: The options ask for more than the vocabulary has.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    prefix_ids = trace.token_ids[: pos + 1]
    last = decoding.stages(logits_after(model, trace, pos), prefix_ids)[-1]
    return draw_counts(last, n_draws, seed)


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
    free = sampling.without_filters()
    filtered = sampling != free
    curves = []
    for options in (free, sampling) if filtered else (free,):
        at = [replace(options, temperature=max(MIN_DIVISOR, float(t))) for t in temperatures]
        curves.append([one.stages(logits, prefix_ids)[-1].entropy_bits for one in at])
    return read_only(np.array(curves if filtered else curves * 2) + 0.0)  # no negative zeros


def draw_counts(stage: Stage, n_draws: int, seed: int) -> Int[np.ndarray, "vocab"]:
    """Draw tokens from a distribution, independently, and count how often each one came.

    Raises:
        DecodingError: There is nothing to draw, or no such seed.
    """
    n_draws = check_count("n_draws", n_draws, DecodingError, 1, MOST_DRAWS)
    seed = check_count("seed", seed, DecodingError, 0, MAX_SEED)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(
        torch.tensor(stage.probabilities), n_draws, replacement=True, generator=generator
    )
    return read_only(torch.bincount(drawn, minlength=len(stage.scores)).numpy())
