"""How does this visitor's text grow, go back and branch? Clicks ask for moves; each is made once.

The view's `written` says which text it is, so that a link, a reload and the browser's history bring
it back. The session keeps the draft, which knows how each token was picked, and the branches.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import streamlit as st

from model_hooks import Decoding, InlookError
from model_hooks.errors import AwayError
from model_hooks.host import Run
from model_hooks.read.lens import word_token_ids
from model_hooks.read.recorded import decode_after, ending_ids
from model_hooks.write.writing import next_distribution, write_again, write_token, write_tokens
from pages.ask.computed import computed, streamed
from pages.ask.draft import Draft, Ids, Move, ids_of, taking
from pages.ask.stops import Written, reason
from pages.server.settings import settings
from pages.state.mailbox import Message
from pages.state.visit import put, view


class Stretch(NamedTuple):
    """A run, or what is left of it: a long one is written in stretches, with the page between."""

    n_left: int
    n_asked: int


PROBLEM = Message[str]("writing.problem")
"""What went wrong in the last move."""
STOPPED = Message[str]("writing.stopped")
"""Why the last run ended before its time, as Markdown."""
_MOVES = Message[tuple[Move, ...]]("writing.moves")
"""What is asked for and not made yet, in order: keys may be pressed faster than tokens come."""
_TO_WRITE = Message[Stretch]("writing.to_write")
_DRAFT, _RUNS = "writing.draft", "writing.runs"

_write_token = computed(write_token, keep=False)
_write_again = streamed(write_again)
_write_tokens = streamed(write_tokens)
_ending_ids = computed(ending_ids)
_decode_after = computed(decode_after)
_word_ids = computed(word_token_ids)
_next_distribution = computed(next_distribution)


def current_draft(asked: Run) -> Draft:
    """Return what this visitor is writing, after the moves that were asked for.

    Another prompt or model starts anew. A link's text is written again token by token. What cannot
    be written is left out, and `PROBLEM` says why.
    """
    draft = _kept()
    if draft is None or (draft.model_name, draft.prompt_ids) != (asked.model_name, asked.token_ids):
        draft = Draft(asked.model_name, asked.token_ids)
    if draft.written != view().written:
        draft = _brought_back(draft.moved(draft.nearest(view().written)), asked)
    st.session_state[_DRAFT] = draft
    while moves := _MOVES.peek():
        draft = _made(draft, moves, asked)
    return draft


def taken_run() -> Stretch | None:
    """Return what is to be written after this page is drawn, if a run is going on."""
    stretch = _TO_WRITE.take()
    st.session_state[_RUNS] = stretch is not None
    return stretch


def write_on(asked: Run, stretch: Stretch, seconds: float) -> Iterator[Draft]:
    """Write a run's tokens, yielding the draft after each; leave what is not done in time.

    Each token is kept before the next one: a click may end the run wherever it is. Ends at a token
    that ends the text or that the view wants to stop at, which `STOPPED` then tells, or with a
    problem to show when the context is full.

    Args:
        asked: The prompt's run.
        stretch: How many tokens to write.
        seconds: After this time the page wants to be drawn: clicks in a part of it wait for that.
    """
    draft, until = current_draft(asked), time.monotonic() + seconds
    endings = _ending_ids(asked.model_name)
    try:
        steps = _write_tokens(*_text(draft), view().decoding, stretch.n_left, *_way(asked))
        for n_left, step in zip(reversed(range(stretch.n_left)), steps, strict=False):
            draft = _keep(draft.moved((*draft.steps, step)), now=False)
            yield draft
            if why := _why_stop(draft, asked, step.token_id in endings):
                STOPPED.leave(why)
                return
            if n_left and step.token_id not in endings and time.monotonic() > until:
                _TO_WRITE.leave(stretch._replace(n_left=n_left))
                return
    except InlookError as error:
        PROBLEM.leave(str(error))


def start_or_stop() -> None:
    """Ask for a run, or end the one that is going on; any move ends it too."""
    _TO_WRITE.take()
    if not runs():
        n_tokens = settings().at_most("new_tokens", view().n_per_run)
        _TO_WRITE.leave(Stretch(n_tokens, n_tokens))


def runs() -> bool:
    """Whether the page that is shown was drawn with a run going on."""
    return bool(st.session_state.get(_RUNS))


def step_forward(choose: int | None = None) -> None:
    """Ask for the next token, as decoding picks it, after whatever the prompt is by then.

    Args:
        choose: The ID of the token to write instead of picking one.
    """
    _ask(Move(writes=True, choose=choose))


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


def _why_stop(draft: Draft, asked: Run, ends: bool) -> str | None:
    """Say why a run stops after the newest token of a text; None where it goes on."""
    stops, step = view().stops, draft.steps[-1]
    before = after = ""
    if stops.stop_text:
        texts = [(draft.model_name, draft.prompt_ids, draft.written[:n]) for n in (-1, None)]
        before, after = (_decode_after(*text) for text in texts)
    rank = None
    if stops.stop_word.strip() and stops.stop_rank is not None:
        rank = _rank_before(draft, asked, stops.stop_word.strip())
    return reason(stops, Written(step, before, after, ends, rank))


def _rank_before(draft: Draft, asked: Run, word: str) -> int | None:
    """Return the rank that a word, or its first token, had when the newest token was picked."""
    if not (ids := _word_ids(draft.model_name, f" {word}")):
        return None
    text = draft.model_name, draft.prompt_ids, draft.written[:-1]
    scores = _next_distribution(*text, Decoding(), *_way(asked))[0].scores
    return int((scores > scores[ids[0]]).sum()) + 1


def _kept() -> Draft | None:
    return st.session_state.get(_DRAFT)


def _text(draft: Draft) -> tuple[str, Ids, Ids]:
    return draft.model_name, draft.prompt_ids, draft.written


def _way(asked: Run) -> tuple:
    """How a text is run: the last arguments of the questions that write."""
    return view().use_cache, asked.interventions


def _ask(move: Move) -> None:
    _TO_WRITE.take()
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
    except AwayError:
        raise  # the text is that of the view still, and is written again later
    except InlookError as error:
        PROBLEM.leave(str(error))
        put(written=ids_of(steps))
    return draft.moved(steps)


def _keep(draft: Draft, now: bool = True) -> Draft:
    """Keep the draft. The view, whose change may end this run, goes last."""
    st.session_state[_DRAFT] = draft
    put(now=now, written=draft.written, pos=None)
    return draft
