"""Words to watch: up to five tokens of the vocabulary, picked from a list or typed.

What is watched is kept per model for the whole visit, and shared by the pages that ask for it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel
from model_hooks.lens import word_token_ids
from pages._selection import selection
from pages._text import escape_markdown, visible

MAX_WORDS = 5
N_OFFERED = 10
"""Candidates offered: the most probable next tokens."""
N_AT_FIRST = 3
MAX_PIECES = 8

_WATCHED, _NOTE = "inlook.watched", "inlook.watched_note"


class Word(NamedTuple):
    """A word that was typed, as tokens."""

    text: str
    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]


def find_word(model: HookedModel, text: str, log_probs: Float[np.ndarray, "vocab"]) -> Word:
    """Find the token of a word, with or without a space before it.

    Most words follow a space, and the space belongs to their token. Of the two readings, the one
    with fewer tokens counts; of two single tokens, the one that the model finds more probable.
    """
    spellings = [text] if text[:1].isspace() else [f" {text}", text]
    readings = [ids for spelling in spellings if (ids := word_token_ids(model, spelling))]
    if not text or not readings:
        return Word(text, (), ())
    best = min(readings, key=lambda ids: (len(ids), -float(log_probs[ids[0]])))
    return Word(text, best, model.token_strings(best))


def candidate_ids(log_probs: Float[np.ndarray, "vocab"], extra: Sequence[int] = ()) -> list[int]:
    """Return the most probable tokens, the best first, and some others after them."""
    best = np.argsort(-log_probs, kind="stable")[:N_OFFERED]
    return list(dict.fromkeys([*map(int, best), *extra]))


def token_names(model: HookedModel, token_ids: Sequence[int]) -> dict[int, str]:
    """Return a label per token; those that look alike get their ID, for widgets tell by label."""
    names = {i: visible(model.token_strings([i])[0]) for i in map(int, token_ids)}
    labels = list(names.values())
    return {i: f"{name} (ID {i})" if labels.count(name) > 1 else name for i, name in names.items()}


def pick_words(
    model: HookedModel, log_probs: Float[np.ndarray, "vocab"], *, key: str = "words"
) -> list[int]:
    """Let the reader choose up to five tokens; at first, the three most probable ones.

    A typed word that is not one token gets one sentence, and its first token is offered.

    Args:
        model: The model.
        log_probs: The output after the selected token.
        key: The widgets' key.
    """
    watched = _watched(log_probs)
    offered = candidate_ids(log_probs, watched)
    names = token_names(model, offered)
    chosen, typed = st.columns([3, 2], vertical_alignment="bottom")
    if st.session_state.get(key) != watched:
        st.session_state[key] = watched
    chosen.multiselect(
        f"Words to watch (up to {MAX_WORDS})",
        offered,
        format_func=names.get,
        max_selections=MAX_WORDS,
        select_all=False,
        key=key,
        on_change=lambda: _watch(st.session_state[key]),
    )
    is_full = len(watched) >= MAX_WORDS
    new = f"{key}.new"
    typed.text_input(
        "Add a word",
        key=new,
        disabled=is_full,
        placeholder="Five words at most" if is_full else "Type one and press Enter",
        on_change=lambda: _add(model, log_probs, new),
    )
    note: Word | None = st.session_state.get(_NOTE)
    if note is not None and not is_full:
        _explain(note, watched, new)
    return watched


def _watched(log_probs: Float[np.ndarray, "vocab"]) -> list[int]:
    kept: dict[str, list[int]] = st.session_state.setdefault(_WATCHED, {})
    return kept.get(selection().model, candidate_ids(log_probs)[:N_AT_FIRST])


def _watch(token_ids: Sequence[int]) -> None:
    st.session_state[_WATCHED][selection().model] = list(dict.fromkeys(token_ids))[:MAX_WORDS]
    st.session_state.pop(_NOTE, None)


def _add(model: HookedModel, log_probs: Float[np.ndarray, "vocab"], new: str) -> None:
    """Watch what was typed, or keep it to say why it cannot be watched as it is."""
    word = find_word(model, st.session_state[new], log_probs)
    if len(word.token_ids) == 1:
        _watch([*_watched(log_probs), *word.token_ids])
        st.session_state[new] = ""
    else:
        st.session_state[_NOTE] = word if word.token_ids else None


def _explain(word: Word, watched: Sequence[int], new: str) -> None:
    pieces = [f"**{escape_markdown(visible(piece))}**" for piece in word.pieces[:MAX_PIECES]]
    if len(word.pieces) > MAX_PIECES:
        pieces.append("…")
    st.info(
        f"“{escape_markdown(visible(word.text[:40]))}” is {len(word.pieces)} tokens here: "
        f"{' + '.join(pieces)}. It predicts one token at a time, so watch the first one.",
        icon=":material/content_cut:",
    )

    def watch_first() -> None:
        _watch([*watched, word.token_ids[0]])
        st.session_state[new] = ""

    first = escape_markdown(visible(word.pieces[0]))
    st.button(f"Watch {first}", key=f"{new}.first", on_click=watch_first)
