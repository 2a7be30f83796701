"""Words to watch: up to five tokens of the vocabulary, or one, picked from a list or typed.

What is watched is kept per model for the whole visit, and shared by the pages that ask for it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel
from model_hooks.read.lens import word_token_ids
from pages.state.selection import selection
from pages.widgets.controls import show_value
from pages.widgets.text import escape_markdown, visible

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
    show_value(key, watched)
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
        _explain(note, new, lambda first: _watch([*watched, first]))
    return watched


def pick_word(
    model: HookedModel, log_probs: Float[np.ndarray, "vocab"], *, key: str, label: str = "Word"
) -> int:
    """Let the reader choose one token; at first, the most probable one.

    Offered are the candidates, the words watched elsewhere and what was typed here. The choice is
    kept per prediction: another token of the text begins with what leads there.

    Args:
        model: The model.
        log_probs: The output after the selected token.
        key: The widgets' key.
        label: What the word is called.
    """
    typed: list[int] = st.session_state.setdefault(f"{key}.typed", {}).setdefault(
        selection().model, []
    )
    offered = candidate_ids(log_probs, [*_watched(log_probs), *typed])
    names = token_names(model, offered)
    chosen = f"{key}.{selection().model}.{offered[0]}"
    new, note = f"{key}.new", f"{key}.note"

    def take(token_id: int) -> None:
        typed[:] = [*(i for i in typed if i != token_id), token_id][-MAX_WORDS:]
        st.session_state[chosen] = token_id
        st.session_state.pop(note, None)

    def add() -> None:
        word = find_word(model, st.session_state[new], log_probs)
        if len(word.token_ids) == 1:
            take(word.token_ids[0])
            st.session_state[new] = ""
        else:
            st.session_state[note] = word if word.token_ids else None

    left, right = st.columns(2, vertical_alignment="bottom")
    token_id = left.selectbox(
        label,
        offered,
        format_func=lambda i: names.get(i, str(i)),
        key=chosen,
        persist_state="session",
        on_change=lambda: st.session_state.pop(note, None),
    )
    right.text_input("Another word", key=new, placeholder="Type one and press Enter", on_change=add)
    if (word := st.session_state.get(note)) is not None:
        _explain(word, new, take, verb="Take")
    return token_id


def _watched(log_probs: Float[np.ndarray, "vocab"]) -> list[int]:
    kept: dict[str, list[int]] = st.session_state.setdefault(_WATCHED, {})
    return kept.get(selection().model, candidate_ids(log_probs)[:N_AT_FIRST])


def _watch(token_ids: Sequence[int]) -> None:
    # A label instead of an ID belongs to the options of another prompt.
    known = (token_id for token_id in token_ids if not isinstance(token_id, str))
    st.session_state[_WATCHED][selection().model] = list(dict.fromkeys(known))[:MAX_WORDS]
    st.session_state.pop(_NOTE, None)


def _add(model: HookedModel, log_probs: Float[np.ndarray, "vocab"], new: str) -> None:
    """Watch what was typed, or keep it to say why it cannot be watched as it is."""
    word = find_word(model, st.session_state[new], log_probs)
    if len(word.token_ids) == 1:
        _watch([*_watched(log_probs), *word.token_ids])
        st.session_state[new] = ""
    else:
        st.session_state[_NOTE] = word if word.token_ids else None


def _explain(word: Word, new: str, take: Callable[[int], None], verb: str = "Watch") -> None:
    """Say that a typed word is several tokens, and offer its first one."""
    pieces = [f"**{escape_markdown(visible(piece))}**" for piece in word.pieces[:MAX_PIECES]]
    if len(word.pieces) > MAX_PIECES:
        pieces.append("…")
    st.info(
        f"“{escape_markdown(visible(word.text[:40]))}” is {len(word.pieces)} tokens here: "
        f"{' + '.join(pieces)}. It predicts one token at a time, so {verb.lower()} the first one.",
        icon=":material/content_cut:",
    )

    def take_first() -> None:
        take(word.token_ids[0])
        st.session_state[new] = ""

    first = escape_markdown(visible(word.pieces[0]))
    st.button(f"{verb} {first}", key=f"{new}.first", on_click=take_first)
