"""How did a word become its tokens? Its merges, one by one."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from model_hooks.read.tokenizers import (
    Entry,
    MergedWord,
    TokenizerFacts,
    entries,
    merged_word,
    tokenized,
    word_tokens,
)
from model_hooks.text.cuts import Tokenization, Word
from pages.ask.computed import computed
from pages.state.visit import part
from pages.text import escape_markdown, visible
from pages.tokenizer.chips import TokenizedText
from pages.tokenizer.choices import Choices
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import merge_ladder
from viz.numbers import counted, plural, surprise

MAX_TYPED = 1000
"""Tokens of what is typed that are looked at: only its first word counts."""
MAX_SYMBOLS = 40
"""Bytes or characters of a word that are merged on screen."""
BPE_HELP = (
    "**Byte-pair encoding** (BPE): in training, the most frequent pair of neighbouring pieces "
    "became a new token, again and again. The **rank** counts these **merges** from 0. A new word "
    "is merged in the same order: lowest rank first "
    "([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909))."
)
WORD_HELP = (
    "A token that you pick above chooses its word. Type any other word here; begin it with a space "
    "or `·` if it should stand inside a sentence."
)
ALGORITHMS = {
    "WordPiece": "This tokenizer uses **WordPiece**, not BPE: from the left, it takes the longest "
    "piece that is in its vocabulary, then goes on behind it; `##` marks a piece inside a word.",
    "Unigram": "This tokenizer uses **Unigram**, not BPE: every token has a probability, and of "
    "all ways to cut a word it takes the most probable one (the highest sum of logarithms).",
    "WordLevel": "This tokenizer merges nothing: each whole word has an ID of its own, and a word "
    "that is not in the vocabulary is unknown.",
}
UNKNOWN_ALGORITHM = "This tokenizer does not tell how it cuts a word."

_tokenized = computed(tokenized)
_merged = computed(merged_word)
_word_tokens = computed(word_tokens)
_entries = computed(entries)


def draw(model_name: str, text: TokenizedText, pos: int) -> None:
    """Let the reader choose a word, and draw the steps from it to its tokens."""
    is_bpe = text.facts.algorithm == "BPE"
    heading("How a word became its tokens", help=BPE_HELP if is_bpe else None)
    word = _pick_word(model_name, text.cut, pos)
    if not is_bpe:
        st.markdown(ALGORITHMS.get(text.facts.algorithm, UNKNOWN_ALGORITHM))
        if word and text.facts.algorithm == "Unigram":
            found = _look_up(model_name, _word_tokens(model_name, word.spelling))
            st.dataframe(unigram_table(found), hide_index=True, width="content")
        return
    if word is None:
        st.markdown("Pick a token of a word, or type a word, to see how it was merged.")
        return
    _draw_merges(model_name, text.facts, word)


def shown_first(cut: Tokenization, pos: int) -> str | None:
    """Return the word of a token, as the chips write it; of one without a word, the last one."""
    index = cut.word_of[pos]
    if index is None and not cut.words:
        return None
    return visible(cut.words[-1 if index is None else index].text)


def merge_sentence(word: Word, merged: MergedWord, unit: str) -> str:
    """Say what the merges did (Markdown).

    Args:
        word: The word.
        merged: Its merges.
        unit: What merging begins with: `byte` or `character`.
    """
    steps = merged.steps
    n_first, n_last = len(steps[0].token_ids), len(steps[-1].token_ids)
    name = f"**{escape_markdown(visible(word.text))}**"
    if n_first == 1:
        return f"{name} is a single {unit}: there is nothing to merge."
    if len(steps) == 1:
        return f"{name} stays as it is: no two of its pieces were ever merged in training."
    return (
        f"{name} begins as {counted(n_first, unit)}. Again and again, the neighbouring pair that "
        f"was learned first is joined: after {counted(len(steps) - 1, 'merge')}, "
        f"{counted(n_last, 'token')} {plural(n_last, 'is', 'are')} left."
    )


def merge_table(merged: MergedWord, texts: dict[int, str]) -> pd.DataFrame:
    """List the merges of a word, one per row.

    Args:
        merged: The merges.
        texts: What each piece that occurs reads like, by its ID.
    """
    rows = []
    for before, after in zip(merged.steps, merged.steps[1:], strict=False):
        if after.made is None or after.merge is None:
            continue
        left, right = before.token_ids[after.made : after.made + 2]
        pieces = (left, right, after.token_ids[after.made])
        rows.append((*(visible(texts[piece]) for piece in pieces), after.merge.rank))
    frame = pd.DataFrame(rows, columns=["left", "right", "becomes", "rank"])
    frame.insert(0, "merge", range(1, len(rows) + 1))
    return frame


def unigram_table(found: list[Entry]) -> pd.DataFrame:
    """List the tokens of a word with their surprise in bits."""
    return pd.DataFrame(
        {
            "token": [visible(entry.text) for entry in found],
            "token_id": [entry.token_id for entry in found],
            "surprise (bits)": [
                None if entry.score is None else surprise(entry.score) for entry in found
            ],
        }
    )


def _pick_word(model_name: str, cut: Tokenization, pos: int) -> Word | None:
    """Let the reader choose a word of the prompt or type another one."""
    words, typed = {visible(word.text): word for word in cut.words}, part(Choices).word
    chosen = bind(
        st.selectbox,
        "Word",
        "tokenizer.word",
        options=[*words, *([typed] if typed and typed not in words else [])],
        when_none=shown_first(cut, pos),
        accept_new_options=True,
        placeholder="Choose a word of the prompt, or type one",
        help=WORD_HELP,
    )
    if chosen is None:
        return None
    if chosen in words:
        return words[chosen]
    plain = chosen.replace("·", " ")
    found: tuple[Word, ...] = _tokenized(model_name, plain, MAX_TYPED, False).words
    same = [word for word in found if word.text == plain]
    if same:  # some tokenizers put a space before a text, a word of its own if one was typed
        return same[0]
    if len(found) > 1:
        st.caption(
            f"That is {len(found)} words for this tokenizer; "
            f"here is {escape_markdown(visible(found[0].text))}."
        )
    return found[0] if found else None


def _draw_merges(model_name: str, facts: TokenizerFacts, word: Word) -> None:
    merged: MergedWord = _merged(model_name, word.spelling, MAX_SYMBOLS)
    unit = "byte" if facts.is_byte_level else "character"
    st.markdown(merge_sentence(word, merged, unit))
    if not merged.whole:
        n_first = counted(len(merged.steps[0].token_ids), unit)
        st.caption(f"The word is long: this is how its first {n_first} merge.")
    if len(merged.steps) > 1:
        _draw_ladder(model_name, word, merged)
    if merged.agrees or not facts.looks_up_whole_words:
        code = "the tokenizer's own code makes"
        same, other = (f"{code} {which} tokens of this text." for which in ("the same", "other"))
        check(merged.agrees, same, other)
        return
    st.caption(
        ":material/info: This tokenizer looks up whole words first: the word is one token, and no "
        "merge was needed."
    )


def _draw_ladder(model_name: str, word: Word, merged: MergedWord) -> None:
    """Draw every merge of a word, and list them."""
    ids = dict.fromkeys(i for step in merged.steps for i in step.token_ids)
    texts = {entry.token_id: entry.text for entry in _look_up(model_name, ids)}
    rows = [[visible(texts[i]) for i in step.token_ids] for step in merged.steps]
    made = [
        (step.made, step.merge.rank)
        for step in merged.steps
        if step.made is not None and step.merge is not None
    ]
    ladder, table = st.columns([3, 2])
    with ladder:
        chart(
            drawing(merge_ladder, rows, [at for at, _ in made], [rank for _, rank in made]),
            key="tokenizer_merges",
            alt=f"Merges of {visible(word.text)}: {len(rows[0])} pieces become {len(rows[-1])}",
            has_table=True,
        )
    with table:
        frame = merge_table(merged, texts)
        st.dataframe(frame, hide_index=True, key="tokenizer_merge_table")
        csv_button(frame, "merges")


def _look_up(model_name: str, token_ids: Iterable[int]) -> list[Entry]:
    return list(_entries(model_name, tuple(token_ids)))
