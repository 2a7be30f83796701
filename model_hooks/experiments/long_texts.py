"""What may a model read and write beyond its context, and how well does it read it?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks.errors import InlookError
from model_hooks.experiments.rope_scaling import RopeScaling, token_losses, why_not_scalable
from model_hooks.model import HookedModel
from model_hooks.read.positions import positions_of
from model_hooks.run.interventions import Intervention
from model_hooks.text.encoding import ids_of
from model_hooks.write.decoding import Decoding

ENDLESS = ("rope", "alibi", "none")
"""Kinds of positions that go on for ever."""


class Limits(NamedTuple):
    """What limits the texts that a model can be given."""

    longest: int | None
    """Tokens that can be run at all; None if nothing but the time limits them."""
    n_vectors: int | None
    """Positions that have a vector, in a model that adds one to each token."""
    why_not_scalable: str | None
    """Why transformers' rope settings cannot stretch its rotation; None where they can."""


class TextTokens(NamedTuple):
    """A text as tokens, and what the tokenizer puts before every text."""

    before: tuple[int, ...]
    own: tuple[int, ...]


def limits_of(model: HookedModel) -> Limits:
    """Return what limits the texts that a model can be given."""
    table = positions_of(model).table
    n_vectors = None if table is None else len(table.vectors)
    longest = None if model.info.position in ENDLESS else model.info.context_size
    return Limits(n_vectors or longest, n_vectors, why_not_scalable(model))


def text_tokens(model: HookedModel, text: str) -> TextTokens:
    """Return the tokens of a text of any length, apart from those that stand before every text."""
    own, whole = ids_of(model.tokenizer, text, add_special_tokens=False), model.encode(text)
    return TextTokens(tuple(whole[: max(0, len(whole) - len(own))]), tuple(own))


def losses_or_reason(
    model: HookedModel,
    token_ids: tuple[int, ...],
    scaling: RopeScaling | None = None,
    interventions: tuple[Intervention, ...] = (),
) -> Float[np.ndarray, "pos"] | str:
    """Return the losses of `token_losses`, or the sentence why there are none."""
    try:
        return token_losses(model, token_ids, scaling, interventions)
    except InlookError as error:
        return str(error)


def own_text(
    model: HookedModel,
    prompt_ids: tuple[int, ...],
    length: int,
    window: int,
    interventions: tuple[Intervention, ...] = (),
) -> tuple[int, ...]:
    """Let a model go on from a prompt by sampling, forgetting the beginning when it gets long.

    Args:
        model: The model.
        prompt_ids: How the text begins.
        length: Tokens to stop at.
        window: Tokens that the model is shown at once; once they are full, it goes on from the
            last half of them.
        interventions: What to change in every run.

    Raises:
        PromptError: The prompt cannot be run.
        InterventionError: This model lacks what is to be changed.
    """
    ids, seed = list(prompt_ids), 0
    while len(ids) < length:
        context = ids if len(ids) <= window // 2 else ids[-(window // 2) :]
        seed += 1
        generation = model.start(
            context, Decoding("sample", seed=seed), interventions=interventions
        )
        room = min(window - len(context), length - len(ids))
        if room < 1:
            break
        for _ in range(room):
            generation = model.step(generation)
            if generation.finished:
                break
        ids += [step.token_id for step in generation.steps]
    return tuple(ids[:length])
