"""How much does each part of the model add to one logit (direct logit attribution)?

The final vector of a pre-norm transformer is the sum of the embedding and of what every attention
and feedforward added (the residual stream of Elhage et al. 2021, "A Mathematical Framework for
Transformer Circuits"). The LM head is linear, and the final norm is too once its scale is held at
that of the real final vector: so the logit is a sum of one number per part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_hooks.arrays import check_index, read_only, to_array
from model_hooks.errors import InlookError, NotRecordableError, PromptError
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.read.tail import before_softcap, logits_of_rows, softcap_of, tolerance_of
from model_hooks.run import capture
from model_hooks.run.prompts import check_token_ids
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each part adds to the logit of one token (or to a difference of two) at one position."""

    token_id: int
    against: int | None
    """The token whose logit is subtracted, if any."""
    pos: int
    embedding: float
    attention: Float[np.ndarray, "layer"]
    feedforward: Float[np.ndarray, "layer"]
    constant: float
    """What the biases of the final norm and of the LM head add, whatever the text."""
    logit: float
    """The model's own; where the family has a softcap, the score before it."""
    softcap: float | None
    is_exact: bool
    """False where the parts do not add up, as after a norm on the stream itself (post-norm)."""

    @property
    def total(self) -> float:
        """The sum of all parts."""
        parts = self.embedding + self.constant
        return float(parts + self.attention.sum() + self.feedforward.sum())

    @property
    def difference(self) -> float:
        """How far the sum of the parts is from the logit."""
        return abs(self.total - self.logit)


def attribute_logit(
    model: HookedModel, trace: Trace, token_id: int, pos: int = -1, against: int | None = None
) -> Attribution:
    """Split the logit of a token after one position into what each part of the model adds to it.

    With the final vector h, its scale s and the centring C of the final norm (the identity in
    RMSNorm), part x adds `W[token] @ (gain * C x / s)`; the biases of norm and LM head are the
    constant. Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".

    Args:
        model: The model.
        trace: A trace of that model.
        token_id: The token whose logit it is.
        pos: After which position.
        against: Take the difference to this token's logit: only differences decide between two.

    Raises:
        PromptError: The trace lacks that position, or the model that token.
    """
    pos = check_index("position", pos, len(trace), PromptError)
    tokens = [token_id] if against is None else [token_id, against]
    check_token_ids(tokens, model.info.vocab_size)
    added = [
        np.stack([getattr(layer, name)[pos] for layer in trace.layers])
        for name in ("attn_out", "mlp_out")
    ]
    parts = np.concatenate([trace.embedding[pos][None], *added]).astype(np.float64)
    final = trace.layers[-1].resid_post[pos].astype(np.float64)
    split = _split(model, parts, final, tokens)
    return Attribution(
        token_id=token_id,
        against=against,
        pos=pos,
        embedding=float(split.by_part[0]),
        attention=read_only(split.by_part[1 : 1 + trace.n_layers]),
        feedforward=read_only(split.by_part[1 + trace.n_layers :]),
        constant=split.constant,
        logit=split.logit,
        softcap=split.softcap,
        is_exact=split.is_exact,
    )


class _Split(NamedTuple):
    by_part: Float[np.ndarray, "part"]
    constant: float
    logit: float
    softcap: float | None
    is_exact: bool


def _split(
    model: HookedModel,
    parts: Float[np.ndarray, "part d_model"],
    final: Float[np.ndarray, "d_model"],
    tokens: list[int],
) -> _Split:
    """Split one logit, or the difference of two, into what parts of the final vector add."""
    softcap = softcap_of(model)
    found = _split_before(softcap, model, parts, final, tokens)
    if found.is_exact or softcap is None:
        return found
    # A config may name a softcap that the family does not apply.
    return _split_before(None, model, parts, final, tokens)


def _split_before(
    softcap: float | None,
    model: HookedModel,
    parts: Float[np.ndarray, "part d_model"],
    final: Float[np.ndarray, "d_model"],
    tokens: list[int],
) -> _Split:
    sign, tolerance = np.array([1.0, -1.0])[: len(tokens)], tolerance_of(model)
    effects, constants, logits = _effects(model, parts, final, tokens, softcap)
    by_part, constant, logit = effects @ sign, float(constants @ sign), float(logits @ sign)
    adds_up = np.linalg.norm(parts.sum(0) - final) <= tolerance * np.linalg.norm(final)
    size = np.abs(effects).sum() + np.abs(logits).sum()
    agrees = abs(by_part.sum() + constant - logit) <= tolerance * size
    return _Split(by_part, constant, logit, softcap, bool(adds_up and agrees))


def direct_effects(
    model: HookedModel,
    vectors: Float[np.ndarray, "part d_model"],
    final: Float[np.ndarray, "d_model"],
    token_ids: Sequence[int],
) -> Float[np.ndarray, "part token"]:
    """Return what vectors in the residual stream add to some logits, the rest being as it is.

    The final norm keeps the scale it has for the final vector `final`. A softcap is left out.

    Args:
        model: The model.
        vectors: What is added to the stream, such as one neuron's output.
        final: The residual stream after the last block.
        token_ids: The tokens whose logits to look at.

    Raises:
        PromptError: The model lacks one of them.
    """
    check_token_ids(token_ids, model.info.vocab_size)
    vectors, final = vectors.astype(np.float64), final.astype(np.float64)
    return _effects(model, vectors, final, list(token_ids), softcap_of(model))[0]


def token_direction(
    model: HookedModel, final: Float[np.ndarray, "d_model"], token_id: int
) -> Float[np.ndarray, "d_model"]:
    """Return the vector whose dot product with a part of the stream is its effect on one logit.

    The same numbers as `direct_effects`, for any number of parts at the price of one. The tail
    divides the centred vector x by its own size, so its gradient lacks the component along x
    (Euler's theorem on homogeneous functions); what is missing is the logit itself, along x.

    Args:
        model: The model.
        final: The vector in the residual stream whose scale the final norm keeps.
        token_id: The token whose logit to look at.

    Raises:
        PromptError: The model lacks that token.
        NotRecordableError: What comes after this family's blocks cannot be derived.
    """
    check_token_ids([token_id], model.info.vocab_size)
    rows = np.stack([final, np.zeros_like(final)])
    with torch.inference_mode(False), torch.enable_grad():
        hidden = torch.tensor(rows, dtype=model.model.dtype, device=model.model.device)
        hidden = hidden[None].requires_grad_()
        logits = _differentiable(model, hidden, token_id)
        (gradient,) = torch.autograd.grad(logits[0], hidden)
    slope = gradient[0, 0].double().cpu().numpy()
    logit, constant = logits.detach().cpu().numpy()
    vector = final.astype(np.float64)
    if _tail_centres(model, len(vector)):
        vector = vector - vector.mean()
    size = float(vector @ vector)
    missing = logit - constant - slope @ vector
    return slope + (missing / size if size else 0.0) * vector


def _differentiable(
    model: HookedModel, hidden: Float[Tensor, "1 row d_model"], token_id: int
) -> Float[Tensor, "row"]:
    """Return one token's logits of residual vectors, before the softcap, to be derived."""
    norm, head, factor = model.anatomy.final_norm, model.anatomy.lm_head, _factor_of_head(model)
    if norm is not None and head is not None and factor is not None:
        row = head.get_parameter("weight")[token_id].detach()
        return (norm(hidden)[0] @ row).double() * factor
    ids = torch.zeros(1, hidden.shape[1], dtype=torch.long, device=hidden.device)
    try:
        with capture.blocks_replaced_by(hidden):
            logits = model.model(input_ids=ids, use_cache=False).logits[0, :, token_id].double()
    except Exception as error:  # a family may go back through its blocks in a way of its own
        raise NotRecordableError(
            f"What {model.info.name} ({model.info.family}) computes after its last layer cannot be "
            "derived, so there is no telling what each part adds to a logit."
        ) from error
    if (softcap := softcap_of(model)) is not None:
        logits = softcap * torch.arctanh((logits / softcap).clamp(-1 + 1e-7, 1 - 1e-7))
    return logits


@once_per_model
def _factor_of_head(model: HookedModel) -> float | None:
    """Return what scales the products of LM head and final norm to logits; None: there is more."""
    norm, head = model.anatomy.final_norm, model.anatomy.lm_head
    if norm is None or head is None:
        return None
    vectors = torch.randn(3, model.info.d_model, generator=torch.Generator().manual_seed(0))
    try:
        weight = head.get_parameter("weight")
        with torch.inference_mode():
            given = norm(vectors.to(weight.device, model.model.dtype)[None])[0]
            products = to_array(given @ weight.T).astype(np.float64)
        logits = _tail(model, vectors.numpy(), slice(None), softcap_of(model))
    except (AttributeError, TypeError, ValueError, RuntimeError, InlookError):
        return None
    if logits.shape != products.shape or not products.any():
        return None
    if (bias := getattr(head, "bias", None)) is not None:
        logits = logits - to_array(bias)
    factor = float((products * logits).sum() / (products**2).sum())
    gap = np.abs(products * factor - logits).max()
    return factor if gap <= tolerance_of(model) * np.abs(logits).max() else None


def _effects(
    model: HookedModel,
    parts: Float[np.ndarray, "part d_model"],
    final: Float[np.ndarray, "d_model"],
    token_ids: list[int],
    softcap: float | None,
) -> tuple[Float[np.ndarray, "part token"], Float[np.ndarray, "token"], Float[np.ndarray, "token"]]:
    """Return each part's effect, the constant and the logits of the final vector.

    The model's own tail does the work, whatever the family put there. It divides a vector by the
    vector's own scale, so each part is first stretched to the scale of the final vector: it is
    then divided by just what the final vector is divided by, epsilon included. Stretching back
    afterwards is exact because nothing else in the tail but the biases depends on the length.
    """

    def scale(rows: Float[np.ndarray, "row d_model"]) -> Float[np.ndarray, "row"]:
        centred = rows - rows.mean(-1, keepdims=True) if centres else rows
        return np.sqrt((centred**2).mean(-1))

    centres = _tail_centres(model, len(final))
    sizes = scale(parts)
    stretch = np.where(sizes > 0, scale(final[None]) / np.where(sizes > 0, sizes, 1), 1)
    rows = np.concatenate([parts * stretch[:, None], final[None], np.zeros_like(final)[None]])
    logits = _tail(model, rows, token_ids, softcap)
    constant = logits[-1]
    return (logits[:-2] - constant) / stretch[:, None], constant, logits[-2]


def _tail(
    model: HookedModel,
    rows: Float[np.ndarray, "row d_model"],
    token_ids: list[int] | slice,
    softcap: float | None = None,
) -> Float[np.ndarray, "row token"]:
    """Return some logits of residual vectors, in float64 and before the softcap."""
    return before_softcap(logits_of_rows(model, rows, token_ids).astype(np.float64), softcap)


def _tail_centres(model: HookedModel, d_model: int) -> bool:
    """Whether the tail subtracts a vector's mean first (LayerNorm)."""
    known = _centring(model)
    if d_model not in known:
        known[d_model] = _centres(model, d_model)
    return known[d_model]


@once_per_model
def _centring(model: HookedModel) -> dict[int, bool]:
    """Return what is known of a model's tail, by the size of the vectors: each is tried once."""
    return {}


def _centres(model: HookedModel, d_model: int) -> bool:
    """Try whether the tail subtracts a vector's mean: a constant vector tells."""
    constant = np.ones(d_model)
    alternating = np.where(np.arange(d_model) % 2, -1.0, 1.0)
    logits = _tail(model, np.stack([constant, alternating, 0 * constant]), slice(None))
    by_constant, by_alternating = np.abs(logits[:2] - logits[2]).max(-1)
    return bool(by_constant < 1e-2 * by_alternating)
