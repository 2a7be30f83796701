"""Which tokens exist at all? A search in the vocabulary."""

import pandas as pd
import streamlit as st

from model_hooks.read.tokenizers import Entry, entries, found_tokens
from pages.ask.computed import computed
from pages.text import visible
from pages.tokenizer.chips import hexadecimal
from pages.widgets.bind import bind
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from viz.numbers import plural

MAX_FOUND = 200
"""Tokens listed."""
HELP = (
    "Finds tokens that contain this text, upper and lower case alike; a number finds the token "
    "with that ID first. Write `·` for a space."
)

_found = computed(found_tokens)
_entries = computed(entries)


@fragment
def draw(model_name: str, vocab_size: int) -> None:
    """Let the reader look for tokens."""
    heading("Search the vocabulary")
    st.markdown("Which tokens exist at all? Only these can go into the model, or come out of it.")
    query = bind(
        st.text_input,
        "Text or token ID",
        "tokenizer.query",
        placeholder="for example: ing",
        help=HELP,
    )
    if not query:
        return
    found: tuple[int, ...] = _found(model_name, query.replace("·", " "))
    st.caption(count_sentence(len(found), vocab_size))
    if found:
        table = table_of(_entries(model_name, found[:MAX_FOUND]))
        st.dataframe(table, hide_index=True, key="tokenizer_found", width="content")


def count_sentence(n_found: int, vocab_size: int) -> str:
    """Say how many tokens contain what is looked for, and how many of them are shown."""
    verb = plural(n_found, "contains", "contain")
    count = f"{n_found:,} of {vocab_size:,} tokens {verb} this"
    return count + (f"; the first {MAX_FOUND} are shown." if n_found > MAX_FOUND else ".")


def table_of(found: tuple[Entry, ...]) -> pd.DataFrame:
    """List entries of the vocabulary, one per row."""
    return pd.DataFrame(
        {
            "token_id": [entry.token_id for entry in found],
            "token": [visible(entry.text) for entry in found],
            "bytes": [hexadecimal(entry.utf8) for entry in found],
            "merge_rank": pd.array([e.merge and e.merge.rank for e in found], dtype="Int64"),
            "vocabulary_entry": [entry.piece for entry in found],
        }
    )
