"""Words to watch: up to five tokens of the vocabulary, or one, picked from a list or typed.

What is watched belongs to the model, and is shared by the pages that ask for it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float
from streamlit.delta_generator import DeltaGenerator

from model_hooks.read.lens import word_token_ids
from model_hooks.read.recorded import each_token, tokens_inside
from pages.ask.computed import computed
from pages.state.view import value_of
from pages.state.visit import is_of_other, put, view
from pages.text import escape_markdown, visible
from pages.widgets.bind import bind

MAX_WORDS = 5
N_OFFERED = 10
"""Candidates offered: the most probable next tokens."""
N_AT_FIRST = 3
MAX_PIECES = 8

_ids_of = computed(word_token_ids)
_each_token = computed(each_token)
_tokens_inside = computed(tokens_inside)


class Word(NamedTuple):
    """A word that was typed, as tokens."""

    text: str
    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]


def find_word(text: str, log_probs: Float[np.ndarray, "vocab"]) -> Word:
    """Find the token of a word, with or without a space before it.

    Most words follow a space, and the space belongs to their token; `.` and `ing` follow none. Of
    the two readings inside a text, the one with fewer tokens counts; of two single tokens, the one
    that the model finds more probable.
    """
    spellings = [text] if text[:1].isspace() else [f" {text}", text]
    readings = [tuple(ids) for one in spellings if (ids := _ids_of(view().model, one))]
    if not text or not readings:
        return Word(text, (), ())
    best = min(readings, key=lambda ids: (len(ids), -float(log_probs[ids[0]])))
    return Word(text, best, _tokens_inside(view().model, best))


def candidate_ids(log_probs: Float[np.ndarray, "vocab"], extra: Sequence[int] = ()) -> list[int]:
    """Return the most probable tokens, the best first, and some others after them."""
    best = np.argsort(-log_probs, kind="stable")[:N_OFFERED]
    return list(dict.fromkeys([*map(int, best), *extra]))


def token_texts(token_ids: Iterable[int]) -> dict[int, str]:
    """Return the text of each token of the selected model, as it stands: no label."""
    ids = tuple(dict.fromkeys(int(token_id) for token_id in token_ids))
    return dict(zip(ids, _each_token(view().model, ids), strict=True))


def token_labels(token_ids: Iterable[int]) -> dict[int, str]:
    """Return a label per token of the selected model; two of them may look alike."""
    return {token_id: visible(text) for token_id, text in token_texts(token_ids).items()}


def token_name(token_id: int) -> str:
    """Return a label for a token of the selected model."""
    return token_labels([token_id])[int(token_id)]


def token_names(token_ids: Iterable[int]) -> dict[int, str]:
    """Return a label per token; those that look alike get their ID, for widgets tell by label."""
    names = token_labels(token_ids)
    labels = list(names.values())
    return {i: f"{name} (ID {i})" if labels.count(name) > 1 else name for i, name in names.items()}


def watched_ids(log_probs: Float[np.ndarray, "vocab"]) -> list[int]:
    """Return the tokens that are watched: at first, the three most probable ones."""
    watched = view().watched
    known = watched is not None and all(0 <= token_id < len(log_probs) for token_id in watched)
    return list(watched or ()) if known else candidate_ids(log_probs)[:N_AT_FIRST]


def pick_words(log_probs: Float[np.ndarray, "vocab"]) -> list[int]:
    """Let the reader choose up to five tokens.

    A typed word that is not one token gets one sentence, and its first token is offered.

    Args:
        log_probs: The output after the chosen token, as natural log-probabilities.
    """
    watched = watched_ids(log_probs)
    offered = candidate_ids(log_probs, watched)
    chosen, typed = st.columns([3, 2], vertical_alignment="bottom")
    bind(
        chosen.multiselect,
        f"Words to watch (up to {MAX_WORDS})",
        "watched",
        options=offered,
        when_none=tuple(watched),
        format_func=token_names(offered).__getitem__,
        max_selections=MAX_WORDS,
        select_all=False,
    )
    is_full = len(watched) >= MAX_WORDS
    word = _typed_word(typed, "Add a word", "typed", log_probs, is_full)
    if word and not is_full:
        _take_or_explain(word, "typed", lambda first: put(watched=(*watched, first), typed=""))
    return watched


def pick_word(log_probs: Float[np.ndarray, "vocab"], field: str, *, label: str = "Word") -> int:
    """Let the reader choose one token; at first, the most probable one.

    Offered are the candidates, the words watched elsewhere and what was typed here. The page's
    part of the view needs the field, an `int | None`, and beside it a text field `typed`.

    Args:
        log_probs: The output after the chosen token, as natural log-probabilities.
        field: The field's dotted name.
        label: What the word is called.
    """
    typed_field = f"{field.rpartition('.')[0]}.typed"
    chosen = value_of(view(), field)
    extra = [] if chosen is None or not 0 <= chosen < len(log_probs) else [chosen]
    offered = candidate_ids(log_probs, [*watched_ids(log_probs), *extra])
    left, right = st.columns(2, vertical_alignment="bottom")
    token_id = bind(
        left.selectbox,
        label,
        field,
        options=offered,
        when_none=offered[0],
        format_func=token_names(offered).__getitem__,
    )
    if word := _typed_word(right, "Another word", typed_field, log_probs, False):
        take = {field: None, typed_field: ""}
        _take_or_explain(word, typed_field, lambda first: put({**take, field: first}), "Take")
    return token_id


def _typed_word(
    place: DeltaGenerator,
    label: str,
    field: str,
    log_probs: Float[np.ndarray, "vocab"],
    is_full: bool,
) -> Word | None:
    """Draw the box to type in; return what is in it, if the vocabulary can spell it."""
    if is_of_other():
        return None
    text = bind(
        place.text_input,
        label,
        field,
        disabled=is_full,
        placeholder="Five words at most" if is_full else "Type one and press Enter",
    )
    word = find_word(text, log_probs)
    return word if word.token_ids else None


def _take_or_explain(
    word: Word, field: str, take: Callable[[int], None], verb: str = "Watch"
) -> None:
    """Take a word that is one token; of another, say so, and offer its first token."""
    if len(word.token_ids) == 1:
        take(word.token_ids[0])
        st.rerun()
    pieces = [f"**{escape_markdown(visible(piece))}**" for piece in word.pieces[:MAX_PIECES]]
    if len(word.pieces) > MAX_PIECES:
        pieces.append("…")
    st.info(
        f"“{escape_markdown(visible(word.text[:40]))}” is {len(word.pieces)} tokens here: "
        f"{' + '.join(pieces)}. It predicts one token at a time, so {verb.lower()} the first one.",
        icon=":material/content_cut:",
    )
    first = escape_markdown(visible(word.pieces[0]))
    st.button(f"{verb} {first}", key=f"{field}.first", on_click=take, args=(word.token_ids[0],))
