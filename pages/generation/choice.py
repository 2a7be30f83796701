"""Which distribution did one token of the text come from, or will the next one come from?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks import Stage
from model_hooks.host import Run
from model_hooks.read.choice import stages_after
from model_hooks.read.heads import weights_of_query
from model_hooks.write.writing import WrittenStep, next_attention, next_distribution
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.state.visit import view

_stages_after = computed(stages_after)
_weights_of_query = computed(weights_of_query)
_next_distribution = computed(next_distribution)
_next_attention = computed(next_attention)


class Choice(NamedTuple):
    """One position of the text: the distribution its token came from, if it has one."""

    pos: int
    token_id: int | None
    """None where nothing is written yet."""
    step: WrittenStep | None
    """None in the prompt and where nothing is written yet."""
    stages: tuple[Stage, ...]
    """By the decoding options set now; empty for the first token of the prompt."""
    attention: Float[np.ndarray, "head pos"] | None
    """What the position before it, which predicts it, attends to in one layer."""


def choice_at(asked: Run, draft: Draft, pos: int, layer: int) -> Choice:
    """Ask for the distribution that the token at a position came from, or will come from.

    Raises:
        InlookError: The context is full, or the layer has no attention.
    """
    token_ids, n_prompt = draft.token_ids, len(draft.prompt_ids)
    token_id = token_ids[pos] if pos < len(token_ids) else None
    if pos == 0:
        return Choice(pos, token_id, None, (), None)
    if pos < n_prompt:
        stages = _stages_after(*asked, view().decoding, pos - 1)
        return Choice(pos, token_id, None, stages, _weights_of_query(*asked, layer, pos - 1))
    n_before = pos - n_prompt
    text = draft.model_name, draft.prompt_ids, draft.written[:n_before]
    way = view().use_cache, asked.interventions
    return Choice(
        pos,
        token_id,
        None if token_id is None else draft.steps[n_before],
        _next_distribution(*text, view().decoding, *way),
        _next_attention(*text, layer, *way),
    )


def stages_of_step(draft: Draft, n_before: int) -> tuple[Stage, ...]:
    """Ask for the distribution that a step picked from, by the options that it picked with.

    Args:
        draft: The text.
        n_before: How many tokens were generated before it.
    """
    step = draft.steps[n_before]
    text = draft.model_name, draft.prompt_ids, draft.written[:n_before]
    return _next_distribution(*text, step.decoding, view().use_cache, step.interventions)
