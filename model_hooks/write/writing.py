"""Which token comes next in a text, why, and what did it take: asked for by token IDs alone.

Nobody has to hold a `Generation`: the prompt's token IDs and the written ones say which text it is.
The model's own stores make going on from it cheap; where they have lost it, it only costs time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from model_hooks.run.interventions import Intervention
from model_hooks.write.decoding import Decoding
from model_hooks.write.forwards import Forward, Variant
from model_hooks.write.generation import Step, Writer, take_step
from model_hooks.write.stages import Stage

Ids = tuple[int, ...]


@dataclass(frozen=True)
class WrittenStep:
    """One written token, how it was picked and what that took; see `generation.Step`."""

    pos: int
    """Its position in the text: the number of tokens before it."""
    token_id: int
    token: str
    decoding: Decoding
    forced: bool
    """Whether the caller chose the token."""
    reused: bool
    """Whether the run was still kept, so that nothing ran."""
    probability: float
    """After all decoding stages; 0 if a filter removed the token and it was forced."""
    raw_probability: float
    """Softmax of the logits, before any stage."""
    rank: int
    """Place among the logits: 1 is the most probable token of the vocabulary."""
    entropy_bits: float
    """Entropy of the raw distribution."""
    rows_computed: int
    """Positions run through the blocks: 1 with the cache, all without."""
    flops: int
    seconds: float
    cache_bytes: int
    """Bytes of keys and values held after it; 0 without the cache."""
    prefill: bool
    """Whether that run computed the prompt (prefill) rather than one new token (decode)."""
    interventions: tuple[Intervention, ...] = ()
    """What was switched off in it."""


def write_token(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
    choose: int | None = None,
) -> WrittenStep:
    """Write one more token.

    Args:
        model: The model.
        prompt_ids: The prompt.
        written_ids: What was written after it so far.
        decoding: How the token is picked.
        use_cache: Whether keys and values of earlier positions are kept.
        interventions: What is switched off in every run of this text.
        choose: A token ID to take instead of picking one: a branch.

    Raises:
        PromptError: The text cannot be run, the context is full, or `choose` is no token ID.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be switched off.
    """
    variant = _checked(model, prompt_ids, written_ids, decoding, use_cache, interventions)
    if choose is not None:
        model.check_token_ids([choose])
    return _plain(_step(model, prompt_ids, written_ids, decoding, variant, choose), variant)


def write_tokens(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    n_tokens: int,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> Iterator[WrittenStep]:
    """Write up to `n_tokens` more; ends after a token that ends the text.

    Raises:
        PromptError: The text cannot be run, or the context is full.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be switched off.
    """
    variant = _checked(model, prompt_ids, written_ids, decoding, use_cache, interventions)
    for _ in range(n_tokens):
        step = _step(model, prompt_ids, written_ids, decoding, variant)
        yield _plain(step, variant)
        written_ids = (*written_ids, step.token_id)
        if step.token_id in model.eos_token_ids:
            return


def write_all(
    model: Writer,
    prompt_ids: Ids,
    decoding: Decoding,
    n_tokens: int,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> tuple[WrittenStep, ...]:
    """Write up to `n_tokens` after a prompt, and return them all at once.

    Raises:
        PromptError: The text cannot be run, or the context is full.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be switched off.
    """
    written = write_tokens(model, prompt_ids, (), decoding, n_tokens, use_cache, interventions)
    return tuple(written)


def write_again(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    wanted_ids: Ids,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> Iterator[WrittenStep]:
    """Write tokens that are known already, such as those of a link.

    A token counts as chosen by the caller only if `decoding` would have picked another one.

    Args:
        model: The model.
        prompt_ids: The prompt.
        written_ids: What was written after it so far.
        decoding: How tokens are picked.
        wanted_ids: What to write.
        use_cache: Whether keys and values of earlier positions are kept.
        interventions: What is switched off in every run of this text.

    Raises:
        PromptError: The text cannot be run, the context is full, or a token ID is out of range.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be switched off.
    """
    variant = _checked(model, prompt_ids, written_ids, decoding, use_cache, interventions)
    for wanted in wanted_ids:
        model.check_token_ids([wanted])
        step = _step(model, prompt_ids, written_ids, decoding, variant)
        if step.token_id != wanted:
            step = take_step(
                model, step.forward, step.reused, decoding, len(written_ids), choose=wanted
            )
        yield _plain(step, variant)
        written_ids = (*written_ids, wanted)


def rewritten(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    wanted_ids: Ids,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> tuple[WrittenStep, ...]:
    """Return all steps of `write_again` at once; its arguments, and its errors."""
    way = decoding, wanted_ids, use_cache, interventions
    return tuple(write_again(model, prompt_ids, written_ids, *way))


def next_distribution(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> tuple[Stage, ...]:
    """Return what the next token will be picked from, after each decoding stage.

    Writing that token then runs nothing.

    Raises:
        PromptError: The text cannot be run, or the context is full.
        DecodingError: The options ask for more than the vocabulary has.
        InterventionError: This model lacks what is to be switched off.
    """
    variant = _checked(model, prompt_ids, written_ids, decoding, use_cache, interventions)
    forward, _ = _forward(model, prompt_ids, written_ids, variant)
    return decoding.stages(forward.logits, forward.token_ids, len(written_ids))


def next_attention(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    layer: int,
    use_cache: bool = True,
    interventions: tuple[Intervention, ...] = (),
) -> Float[np.ndarray, "head pos"]:
    """Return what the last position, which predicts the next token, attends to in one layer.

    Raises:
        PromptError: The text cannot be run, or the context is full.
        LayerError: The model lacks that layer, or it has no attention.
        InterventionError: This model lacks what is to be switched off.
    """
    variant = _checked(model, prompt_ids, written_ids, Decoding(), use_cache, interventions)
    return _forward(model, prompt_ids, written_ids, variant)[0].attention(layer)


def _checked(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    use_cache: bool,
    interventions: tuple[Intervention, ...],
) -> Variant:
    """Refuse what cannot be run; return how the text is run."""
    start = model.start(prompt_ids, decoding, use_cache, interventions)
    model.check_token_ids(written_ids)
    return Variant(use_cache, start.interventions)


def _forward(
    model: Writer, prompt_ids: Ids, written_ids: Ids, variant: Variant
) -> tuple[Forward, bool]:
    return model.forward_after((*prompt_ids, *written_ids), len(prompt_ids), variant)


def _step(
    model: Writer,
    prompt_ids: Ids,
    written_ids: Ids,
    decoding: Decoding,
    variant: Variant,
    choose: int | None = None,
) -> Step:
    forward, reused = _forward(model, prompt_ids, written_ids, variant)
    return take_step(model, forward, reused, decoding, len(written_ids), choose)


def _plain(step: Step, variant: Variant) -> WrittenStep:
    known = {field.name for field in fields(WrittenStep)} - {"interventions"}
    told = {name: getattr(step, name) for name in known}
    return WrittenStep(**told, interventions=variant.interventions)
