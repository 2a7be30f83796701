"""The text being written in this browser session: its current state, its branches, its moves.

What is generated is an immutable `Generation`. The session keeps the current one and the tips of
all branches; `selection().written` holds the same text as token IDs, so that a link, a reload and
the browser's history bring it back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import Decoding, Generation, InlookError, Stage, Step
from pages.ask.session import current_model, current_token_ids, current_trace
from pages.state.selection import select, selection

MAX_TIPS = 12
"""Branches kept; beyond, the one that was left longest ago is dropped."""

_DRAFT = "generation.draft"
_MOVE = "generation.move"
_TO_WRITE = "generation.to_write"
_PROBLEM = "generation.problem"


@dataclass(frozen=True, eq=False)
class Draft:
    """A text being written and the ends of all its branches, the current one's among them."""

    generation: Generation
    tips: tuple[Generation, ...] = ()

    @property
    def tip(self) -> int | None:
        """Which of the tips the text is; None if it ends where branches go on or part."""
        written = written_ids(self.generation)
        same = [i for i, tip in enumerate(self.tips) if written_ids(tip) == written]
        return same[0] if same else None

    def moved(self, to: Generation) -> "Draft":
        """Return the draft at another text of the same prompt; what was written stays a tip."""
        tips = [*self.tips]
        for text in (self.generation, to):
            new = written_ids(text)
            tips = [tip for tip in tips if not _begins(new, with_=written_ids(tip))]
            if new and not any(_begins(written_ids(tip), with_=new) for tip in tips):
                tips.append(text)
        return Draft(to, tuple(tips[-MAX_TIPS:]))

    def nearest(self, written: Sequence[int]) -> Generation:
        """Return the longest beginning of these generated tokens that any branch has."""
        best = self.generation.rewind(len(self.generation.steps))
        for text in (self.generation, *self.tips):
            common = _common_length(written_ids(text), written)
            if common > len(best.steps):
                best = text.rewind(len(text.steps) - common)
        return best


@dataclass(frozen=True, eq=False)
class Choice:
    """One position of the text: the distribution its token came from, if it has one."""

    pos: int
    token_id: int | None
    """None where nothing is written yet."""
    step: Step | None
    """None in the prompt and where nothing is written yet."""
    stages: tuple[Stage, ...]
    """By the decoding options set now; empty for the first token of the prompt."""
    attention: Float[np.ndarray, "head pos"] | None
    """What the position before it, which predicts it, attends to in one layer."""


def current_draft(decoding: Decoding, use_cache: bool) -> Draft:
    """Return what this session is writing, after the move that was asked for.

    Another prompt or model starts anew. A link's text is written again token by token.

    Raises:
        InlookError: The prompt cannot be run.
    """
    model, prompt_ids = current_model(), current_token_ids()
    draft: Draft | None = st.session_state.get(_DRAFT)
    if (
        draft is None
        or draft.generation.model is not model
        or draft.generation.prompt_ids != prompt_ids
    ):
        draft = Draft(model.start(prompt_ids, decoding, use_cache))
    if written_ids(draft.generation) != selection().written:
        draft = draft.moved(draft.nearest(selection().written))
    generation = draft.generation.with_decoding(decoding).with_cache(use_cache)
    if written_ids(generation) != selection().written:
        generation = _rewritten(generation)
    draft = Draft(draft.generation, draft.tips).moved(generation)
    st.session_state[_DRAFT] = draft
    move, aimed_at = st.session_state.pop(_MOVE, (None, None))
    return draft if move is None or aimed_at not in (None, prompt_ids) else _moved(draft, move)


def step_forward() -> None:
    """Ask for the next token, as decoding picks it; a callback of a button."""
    _ask(lambda draft: draft.generation.model.step(draft.generation), of_any_prompt=True)


def step_back() -> None:
    """Ask to take the newest generated token back; a callback of a button."""
    _ask(lambda draft: draft.generation.rewind(min(1, len(draft.generation.steps))))


def restart() -> None:
    """Ask to take all generated tokens back; a callback of a button."""
    rewind_to(0)


def take_instead(pos: int, token_id: int) -> None:
    """Ask for another token at a position: a branch, if something was written there."""

    def move(draft: Draft) -> Generation:
        generation = draft.generation
        if generation.token_ids[pos : pos + 1] == (token_id,):
            return generation
        return generation.model.step(generation.rewind(len(generation.token_ids) - pos), token_id)

    _ask(move)


def rewind_to(n_written: int) -> None:
    """Ask to keep the first `n_written` generated tokens only; the rest stays a branch."""
    _ask(lambda draft: draft.generation.rewind(max(0, len(draft.generation.steps) - n_written)))


def go_to_branch(tip: int) -> None:
    """Ask for one of the branches."""
    _ask(lambda draft: draft.tips[tip])


def forget_branches() -> None:
    """Drop all branches but the current text."""
    generation = st.session_state[_DRAFT].generation
    st.session_state[_DRAFT] = Draft(generation, (generation,) if generation.steps else ())


def ask_to_write(n_tokens: int) -> None:
    """Ask for up to `n_tokens` tokens; a callback of a button, which has the whole page drawn."""
    st.session_state[_TO_WRITE] = n_tokens
    st.rerun()


def is_asked_to_write() -> bool:
    """Tell whether `tokens_to_write` is about to return any."""
    return _TO_WRITE in st.session_state


def tokens_to_write() -> int:
    """Return how many tokens were asked for, once: the next run of the page writes none."""
    return st.session_state.pop(_TO_WRITE, 0)


def write_tokens(n_tokens: int) -> Iterator[Generation]:
    """Write up to `n_tokens` tokens, yielding the text after each.

    Each token is kept before the next one: a click on Stop ends the script wherever it is. Ends at
    a token that ends the text, or with a problem to show when the context is full.
    """
    draft = st.session_state[_DRAFT]
    generation = draft.generation
    try:
        for _ in range(n_tokens):
            generation = generation.model.step(generation)
            _keep(draft.moved(generation), now_in_link=False)
            yield generation
            if generation.finished:
                return
    except InlookError as error:
        st.session_state[_PROBLEM] = str(error)


def problem() -> str | None:
    """Return what went wrong in the last move, once."""
    return st.session_state.pop(_PROBLEM, None)


def choice_at(generation: Generation, pos: int, layer: int) -> Choice:
    """Look up the distribution that the token at a position came from, or will come from.

    Raises:
        InlookError: The context is full, or the layer has no attention.
    """
    token_ids, decoding = generation.token_ids, generation.decoding
    n_prompt = len(generation.prompt_ids)
    token_id = token_ids[pos] if pos < len(token_ids) else None
    if pos == 0:
        return Choice(pos, token_id, None, (), None)
    if pos < n_prompt:
        trace = current_trace()
        logits = generation.model.logits_of(trace.layer_output(-1)[pos - 1 : pos])[0]
        stages = decoding.stages(logits, token_ids[:pos])
        return Choice(pos, token_id, None, stages, trace.attention(layer)[:, pos - 1, :pos])
    if token_id is None:
        step, forward = None, generation.model.forward_of(generation)[0]
    else:
        step = generation.steps[pos - n_prompt]
        forward = step.forward
    stages = decoding.stages(forward.logits, forward.token_ids)
    return Choice(pos, token_id, step, stages, forward.attention(layer))


def written_ids(generation: Generation) -> tuple[int, ...]:
    """Return the IDs of the generated tokens."""
    return tuple(step.token_id for step in generation.steps)


def _ask(move: Callable[[Draft], Generation], of_any_prompt: bool = False) -> None:
    """Have the next run of the page make a move, unless it was meant for another prompt."""
    draft = st.session_state.get(_DRAFT)
    aimed_at = None if of_any_prompt or draft is None else draft.generation.prompt_ids
    st.session_state[_MOVE] = (move, aimed_at)


def _moved(draft: Draft, move: Callable[[Draft], Generation]) -> Draft:
    """Make a move, or remember the reason why it cannot be made."""
    try:
        draft = draft.moved(move(draft))
    except InlookError as error:
        st.session_state[_PROBLEM] = str(error)
    else:
        _keep(draft)
    return draft


def _keep(draft: Draft, now_in_link: bool = True) -> None:
    """Keep the draft. The selection goes first: cut off in between, the draft follows from it."""
    select(written=written_ids(draft.generation), pos=None, now_in_link=now_in_link)
    st.session_state[_DRAFT] = draft


def _rewritten(generation: Generation) -> Generation:
    """Go on from a text until it is the selected one; stop where that is impossible."""
    wanted = selection().written
    try:
        for token_id in wanted[len(generation.steps) :]:
            picked = generation.decoding.pick(generation.next_stages()[-1], len(generation.steps))
            choose = None if picked == token_id else token_id
            generation = generation.model.step(generation, choose)
    except InlookError as error:
        st.session_state[_PROBLEM] = str(error)
        select(written=written_ids(generation))
    return generation


def _begins(text: Sequence[int], *, with_: Sequence[int]) -> bool:
    return tuple(text[: len(with_)]) == tuple(with_)


def _common_length(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return length
