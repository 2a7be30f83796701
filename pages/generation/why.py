"""Why this token? From where it was read, and what the model says without each earlier word."""

import html
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from typing import NamedTuple

import numpy as np
import streamlit as st

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.read.contributions import Contributions, contributions, next_contributions
from model_hooks.read.hiding import (
    WithoutWord,
    Word,
    hideable,
    most_read,
    opening_ids,
    without_words,
    words_of,
)
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.ask.session import info
from pages.generation import why_links
from pages.generation.choice import Choice
from pages.generation.choices import Choices
from pages.generation.why_sentences import (
    CAVEATS,
    FIRST_WORD,
    LAST_TOKEN,
    OTHER_LAYERS,
    READ_HELP,
    Own,
    Read,
    Without,
    both_sentence,
    hidden_sentence,
    read_sentence,
)
from pages.generation.why_tables import Row, Tinted, table_html, tinted_html
from pages.state.visit import part, put, view
from pages.text import escape_markdown, visible
from pages.widgets.press import press
from pages.widgets.words import token_labels

_contributions = computed(contributions)
_next_contributions = computed(next_contributions)
_opening_ids = computed(opening_ids)
_without_words = computed(without_words, says="Hiding one word at a time…")


N_READS = 2
N_ROWS = 6
"""Words in the table: those that change the answer most."""


class Asked(NamedTuple):
    """The token that is explained, and the text that it follows."""

    model_name: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Of that text, as they stand."""
    answer_id: int
    answer: str
    """The token that is explained, for people."""
    probability: float
    """The model's own, before any option."""
    words: tuple[Word, ...]
    """All but a token that opens the text."""
    has_opening: bool
    repeated: frozenset[str]
    """What more than one of the words reads."""

    @property
    def reader(self) -> int:
        """The position that predicts the token."""
        return len(self.token_ids) - 1

    @property
    def can_hide(self) -> tuple[Word, ...]:
        """The words that can be hidden."""
        return hideable(self.words, self.reader, first=1)

    def name_of(self, word: Word) -> str:
        """Return a label for people; words that look alike get their position."""
        text = text_of(word, self.tokens)
        return f"{visible(text)} ({word[0]})" if text in self.repeated else visible(text)

    def name_at(self, pos: int) -> str:
        """Return the label of the word with a position; of an opening token, its own."""
        return self.name_of(next((word for word in self.words if pos in word), (pos,)))


def draw(run: Run, draft: Draft, tokens: Sequence[str], choice: Choice) -> None:
    """Say where the chosen token was read from, and on demand, hide each earlier word."""
    if not choice.stages:
        return
    asked = asked_of(draft, tokens, choice)
    found = _read_from(run, draft, choice, asked.answer_id)
    if found is not None and found.is_exact:
        # One element: each costs every step.
        texts = [text_of(word, asked.tokens) for word in asked.words]
        words = [*map(Tinted, texts, _sums(asked, found))]
        st.html(tinted_html(words, _where(asked, found), READ_HELP))
    if not part(Choices).why:
        press(
            "Why this token? Hide each earlier word",
            key="generation.why",
            icon=":material/visibility_off:",
            on_click=put,
            args=({"generation.why": True},),
        )
        return
    with st.container(border=True):
        _without_each(run, asked, found)
        if found is not None:
            why_links.draw(found, asked.name_at, is_next=choice.token_id is None)
        press("Close", key="generation.why", on_click=put, args=({"generation.why": False},))


def asked_of(draft: Draft, tokens: Sequence[str], choice: Choice) -> Asked:
    """Return which token is explained: the chosen one, or the most probable next one."""
    answer_id = choice.token_id
    if answer_id is None:
        answer_id = int(np.argmax(choice.stages[-1].probabilities))
    token_ids, before = draft.token_ids[: choice.pos], tuple(tokens[: choice.pos])
    start = int(token_ids[0] in _opening_ids(draft.model_name))
    words = words_of(before, start)
    return Asked(
        model_name=draft.model_name,
        token_ids=token_ids,
        tokens=before,
        answer_id=answer_id,
        answer=token_labels([answer_id])[answer_id],
        probability=float(choice.stages[0].probabilities[answer_id]),
        words=words,
        has_opening=bool(start),
        repeated=repeated(text_of(word, before) for word in words),
    )


def text_of(word: Word, tokens: Sequence[str]) -> str:
    """Return what a word reads, as it stands."""
    return "".join([tokens[pos] for pos in word])


def repeated(texts: Iterable[str]) -> frozenset[str]:
    """Return those texts that are there more than once."""
    return frozenset(text for text, n in Counter(texts).items() if n > 1)


def _read_from(run: Run, draft: Draft, choice: Choice, answer_id: int) -> Contributions | None:
    """Ask what was read of each token; None if this model does not let that be told."""
    n_prompt = len(draft.prompt_ids)
    try:
        if choice.pos < n_prompt:
            return _contributions(*run, answer_id, choice.pos - 1)
        written = draft.written[: choice.pos - n_prompt]
        way = view().use_cache, run.interventions
        return _next_contributions(draft.model_name, draft.prompt_ids, written, answer_id, *way)
    except InlookError:
        return None


def _where(asked: Asked, found: Contributions) -> str:
    own = _own(asked, found, _html)
    return read_sentence(_reads(asked, found, _html), own, found.total)


def _own(asked: Asked, found: Contributions, write: Callable[[str], str]) -> Own:
    layer = int(found.feedforward.argmax())
    name = write(asked.name_at(asked.reader))
    return Own(name, layer, float(found.feedforward[layer]))


def _reads(asked: Asked, found: Contributions, write: Callable[[str], str]) -> list[Read]:
    """The words that were read most: sentences need no more."""
    sums = zip(_sums(asked, found), asked.words, strict=True)
    best = nlargest(N_READS, sums, key=lambda one: one[0])
    return [Read(write(asked.name_of(word)), word[0], added) for added, word in best]


def _sums(asked: Asked, found: Contributions) -> list[float]:
    """What was read of each word: they follow one another without a gap."""
    starts = [word[0] for word in asked.words]
    return np.add.reduceat(found.by_key, starts).tolist() if starts else []


def _added(found: Contributions, word: Word) -> float:
    return float(found.by_key[word[0] : word[-1] + 1].sum())


def _without_each(run: Run, asked: Asked, found: Contributions | None) -> None:
    """Hide the words that were read most, and say what that did to the answer."""
    offered = asked.can_hide
    by_key = np.arange(len(asked.tokens)) * 1.0 if found is None else found.ranking
    words = most_read(offered, by_key)
    given = asked.token_ids, asked.answer_id, words, run.interventions
    try:
        results = _without_words(asked.model_name, *given)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/block:")
        return
    tried = [_without(asked, one) for one in results]
    told = found if found is not None and found.is_exact else None
    said = [hidden_sentence(tried, _bold(asked.answer), len(offered))]
    if told is not None:
        reads, own = _reads(asked, told, _bold), _own(asked, told, _bold)
        said.append(both_sentence(tried, reads, own))
    st.markdown(" ".join(filter(None, said)), help=CAVEATS)
    if results:
        most = min(results, key=lambda one: one.probability)
        shown = sorted(results, key=lambda one: -abs(one.probability - asked.probability))[:N_ROWS]
        rows = [_row(asked, one, told, one is most) for one in results if one in shown]
        st.html(table_html(rows, asked.answer, asked.probability, len(results) - len(rows)))
    st.caption(" ".join(_notes(asked)))


def _without(asked: Asked, one: WithoutWord) -> Without:
    leads = None if one.leading_id == asked.answer_id else _bold(_label(one.leading_id))
    name = _bold(asked.name_of(one.word))
    return Without(name, one.word[0], asked.probability, one.probability, leads)


def _row(asked: Asked, one: WithoutWord, found: Contributions | None, is_most: bool) -> Row:
    read = None if found is None else _added(found, one.word)
    leads = _label(one.leading_id)
    return Row(asked.name_of(one.word), one.probability, leads, one.leading, read, is_most)


def _notes(asked: Asked) -> list[str]:
    """Say what was not hidden, and why."""
    notes = [LAST_TOKEN.format(word=_bold(visible(asked.tokens[-1])))]
    if not asked.has_opening and asked.reader > 0:
        notes.append(FIRST_WORD.format(word=_bold(asked.name_at(0))))
    if len(info().attention_layers) < info().n_layers:
        notes.append(OTHER_LAYERS)
    return notes


def _label(token_id: int) -> str:
    return token_labels([token_id])[token_id]


def _html(name: str) -> str:
    return f"<b>{html.escape(name)}</b>"


def _bold(name: str) -> str:
    return f"**{escape_markdown(name)}**"
