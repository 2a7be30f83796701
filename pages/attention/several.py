"""What do several tokens read together, and who reads them?"""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from pages.attention.matrix import Shown
from pages.text import visible
from pages.widgets.bind import bind
from pages.widgets.components import token_strip
from viz.numbers import percent, three_digits

HELP = (
    "Choose a group of tokens, such as the pieces of a name, and read their attention as one: "
    "averaged over the queries, summed over the keys."
)


def draw(tokens: Sequence[str], shown: Shown, query: int) -> None:
    """Let the reader choose several queries and keys, and sum what they read."""
    shares, start = shown.shares, shown.start
    picked = _pick(tokens, range(start, start + len(shares)), query)
    queries, keys = ([pos - start for pos in some] for some in picked)
    tokens = tokens[start : start + len(shares)]
    if not queries and not keys:
        st.caption(
            "Choose some queries to see what they read together, some keys to see who reads them."
        )
    if queries:
        st.markdown(f"What the chosen :blue[queries] read, on average over {len(queries)}:")
        token_strip(
            tokens,
            key="attention_sum.read",
            start=start,
            weights=shares[queries].mean(0),
            label="Read by the chosen queries",
        )
    if keys:
        st.markdown("How much of its weight each token puts on the chosen :orange[keys]:")
        token_strip(
            tokens,
            key="attention_sum.readers",
            start=start,
            weights=shares[:, keys].sum(1),
            label="Readers of the chosen keys",
        )
    if queries and keys:
        total = float(shares[np.ix_(queries, keys)].sum())
        st.markdown(
            f"Together the chosen queries put **{three_digits(total)}** on the chosen keys, "
            f"**{percent(total / len(queries))}** of what they have to give."
        )


def _pick(
    tokens: Sequence[str], positions: range, query: int
) -> tuple[Sequence[int], Sequence[int]]:
    def name(pos: int) -> str:
        return f"{pos}: {visible(tokens[pos])}"

    by_query, by_key = st.columns(2)
    queries = bind(
        by_query.multiselect,
        "Queries",
        "attention.queries",
        options=positions,
        when_none=(query,),
        format_func=name,
    )
    keys = bind(by_key.multiselect, "Keys", "attention.keys", options=positions, format_func=name)
    return queries, keys
