"""How does this visitor's text grow, go back and branch? Clicks ask for moves; each is made once.

The view's `written` says which text it is, so that a link, a reload and the browser's history bring
it back. The session keeps the draft, which knows how each token was picked, and the branches.
"""

from collections.abc import Iterator

import streamlit as st

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.write.writing import write_again, write_token, write_tokens
from pages.ask.computed import computed, streamed
from pages.ask.draft import Draft, Ids, Move, ids_of, taking
from pages.state.mailbox import Message
from pages.state.visit import put, view

TO_WRITE = Message[int]("writing.to_write")
"""How many tokens a run was asked for."""
PROBLEM = Message[str]("writing.problem")
"""What went wrong in the last move."""
_MOVES = Message[tuple[Move, ...]]("writing.moves")
"""What is asked for and not made yet, in order: keys may be pressed faster than tokens come."""
_DRAFT, _RUNS = "writing.draft", "writing.runs"

_write_token = computed(write_token, keep=False)
_write_again = streamed(write_again)
_write_tokens = streamed(write_tokens)


def current_draft(asked: Run) -> Draft:
    """Return what this visitor is writing, after the moves that were asked for.

    Another prompt or model starts anew. A link's text is written again token by token. What cannot
    be written is left out, and `PROBLEM` says why.
    """
    st.session_state[_RUNS] = False
    draft = _kept()
    if draft is None or (draft.model_name, draft.prompt_ids) != (asked.model_name, asked.token_ids):
        draft = Draft(asked.model_name, asked.token_ids)
    if draft.written != view().written:
        draft = _brought_back(draft.moved(draft.nearest(view().written)), asked)
    st.session_state[_DRAFT] = draft
    while moves := _MOVES.peek():
        draft = _made(draft, moves, asked)
    return draft


def write_on(asked: Run, n_tokens: int) -> Iterator[Draft]:
    """Write up to `n_tokens` tokens, yielding the draft after each.

    Each token is kept before the next one: a click may end the run wherever it is. Ends at a token
    that ends the text, or with a problem to show when the context is full.
    """
    draft = current_draft(asked)
    st.session_state[_RUNS] = True
    try:
        for step in _write_tokens(*_text(draft), view().decoding, n_tokens, *_way(asked)):
            draft = _keep(draft.moved((*draft.steps, step)), now=False)
            yield draft
    except InlookError as error:
        PROBLEM.leave(str(error))
    st.session_state[_RUNS] = False


def start_or_stop() -> None:
    """Ask for a run; while one is going on, any click ends it, and this one does only that."""
    if not st.session_state.get(_RUNS):
        TO_WRITE.leave(view().n_per_run)


def step_forward() -> None:
    """Ask for the next token, as decoding picks it, after whatever the prompt is by then."""
    _ask(Move(writes=True))


def step_back() -> None:
    """Ask to take the newest generated token back."""
    _ask(Move(back=1))


def restart() -> None:
    """Ask to take all generated tokens back."""
    _ask(Move(written=()))


def rewind_to(n_written: int) -> None:
    """Ask to keep the first `n_written` generated tokens only; the rest stays a branch."""
    go_to(view().written[:n_written])


def go_to(written: Ids) -> None:
    """Ask for another branch, or for the beginning of one."""
    if (draft := _kept()) is not None:
        _ask(Move(draft.prompt_ids, written))


def take_instead(pos: int, token_id: int) -> None:
    """Ask for another token at a position: a branch, if something was written there."""
    draft = _kept()
    if draft is not None and (move := taking(draft, pos, token_id)) is not None:
        _ask(move)


def moves_wait() -> bool:
    """Whether moves are asked for and not made yet."""
    return _MOVES.waits


def forget_branches() -> None:
    """Drop all branches but the current text."""
    if (draft := _kept()) is not None:
        st.session_state[_DRAFT] = draft.without_others()


def _kept() -> Draft | None:
    return st.session_state.get(_DRAFT)


def _text(draft: Draft) -> tuple[str, Ids, Ids]:
    return draft.model_name, draft.prompt_ids, draft.written


def _way(asked: Run) -> tuple:
    """How a text is run: the last arguments of the questions that write."""
    return view().use_cache, asked.interventions


def _ask(move: Move) -> None:
    _MOVES.leave((*(_MOVES.peek() or ()), move))


def _made(draft: Draft, moves: tuple[Move, ...], asked: Run) -> Draft:
    """Make the first of some moves and strike it out, or say why it cannot be made."""
    move, *others = moves
    steps, problem = move.kept(draft), None
    if move.writes and move.is_for(draft):
        text = draft.model_name, draft.prompt_ids, ids_of(steps)
        try:
            steps = (*steps, _write_token(*text, view().decoding, *_way(asked), move.choose))
        except InlookError as error:
            problem = str(error)
    # Nothing that Streamlit could cut off stands between here and the new view.
    _MOVES.take()
    if problem is not None:
        PROBLEM.leave(problem)
        return draft
    if others:
        _MOVES.leave(tuple(others))
    return _keep(draft.moved(steps)) if move.is_for(draft) else draft


def _brought_back(draft: Draft, asked: Run) -> Draft:
    """Go on from a text until it is the view's; stop where that is impossible."""
    steps, wanted = draft.steps, view().written[len(draft.steps) :]
    try:
        for step in _write_again(*_text(draft), view().decoding, wanted, *_way(asked)):
            steps = (*steps, step)
    except InlookError as error:
        PROBLEM.leave(str(error))
        put(written=ids_of(steps))
    return draft.moved(steps)


def _keep(draft: Draft, now: bool = True) -> Draft:
    """Keep the draft. The view, whose change may end this run, goes last."""
    st.session_state[_DRAFT] = draft
    put(now=now, written=draft.written, pos=None)
    return draft
