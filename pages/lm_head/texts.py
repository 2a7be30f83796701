"""Which texts does the same prompt lead to? Greedy decoding against sampling, many times."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import Decoding
from model_hooks.experiments.continuations import Text, texts_at_once, write_texts
from pages.ask.computed import watched
from pages.lm_head.choices import Choices
from pages.lm_head.continuing import LETTERS, longest, pick_n_tokens, progress, shown_text
from pages.lm_head.seen import Seen, greedy_note
from pages.server.settings import settings
from pages.state.visit import part, put
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.press import press
from pages.widgets.wide import wide_figure
from pages.widgets.words import token_name
from viz import text_tree
from viz.numbers import counted, percent, plural, surprise

HELP = (
    "Greedy decoding and sampling write from the same prompt, many times. In the tree, texts that "
    "begin alike share a cell, and its height is how many they are: where the tree fans out, the "
    "model had several good ways to go on. Text number i is the one that the Generation page "
    "writes with the i-th seed."
)
BATCH = 10
"""Texts that are written at once."""
MAX_TEXTS, MAX_TOKENS = 100, 60
COLUMNS = {
    "by": st.column_config.TextColumn("By"),
    "text": st.column_config.TextColumn("Text", width="large"),
    "times": st.column_config.NumberColumn("Times", help="How often it was written."),
    "bits": st.column_config.NumberColumn(
        "Surprise (bits)",
        format="%.3g",
        help="Sum over its tokens, by the model's own probabilities: 0 is certain.",
    ),
    "repeats": st.column_config.NumberColumn(
        "Repeats",
        format="percent",
        help="Share of its pairs of neighbouring tokens that came before in the same text.",
    ),
}

_write_texts = watched(write_texts)


class Batch(NamedTuple):
    """Some texts that are written at once."""

    decoding: Decoding
    seeds: tuple[int, ...]


class Written(NamedTuple):
    """What is written so far."""

    greedy: Text | None
    sampled: tuple[Text, ...]


def draw(seen: Seen) -> None:
    """Draw many texts from the same prompt, as a tree and a table."""
    greedy_note(seen)
    left, right, _ = st.columns([1, 1, 2])
    most = max(2, settings().at_most("texts", MAX_TEXTS))
    n_texts = bind(left.number_input, "Texts", "lm_head.n_texts", min_value=2, max_value=most)
    n_tokens = pick_n_tokens(seen, right.number_input, "lm_head.n_tokens", MAX_TOKENS)
    written = _write(seen, n_texts, n_tokens)
    if len(written.sampled) < n_texts:
        st.info(f"Stopped after {len(written.sampled)} of {n_texts} texts.")
        press("Go on", key="lm_head.texts.go_on", on_click=put, kwargs={"lm_head.stopped": False})
    if written.sampled:
        _draw_texts(seen, written)


def _draw_texts(seen: Seen, written: Written) -> None:
    greedy, sampled = written
    with wide_figure("lm_head_tree"):
        chart(
            text_tree(sampled, greedy, token_name),
            key="lm_head_tree",
            alt=f"A tree of {len(sampled)} sampled texts, and the greedy text above it",
        )
    st.caption(
        "The tree shows the first tokens of each text, from left to right. Hatched cells begin as "
        "the greedy text does. Click a cell to zoom in, and the leftmost one to zoom out."
    )
    st.markdown(spread_sentence(greedy, sampled))
    st.dataframe(table_of(seen, greedy, sampled), hide_index=True, column_config=COLUMNS)
    csv_button(lambda: table_of(seen, greedy, sampled, letters=None), "texts")


def batches(seen: Seen, n_texts: int, n_tokens: int) -> list[Batch]:
    """Return what is to be written: the greedy text, then the sampled ones, some at once."""
    size = min(BATCH, texts_at_once(len(seen.prefix_ids) + n_tokens))
    sampling, first = replace(seen.sampling, seed=0), seen.decoding.seed
    starts = range(0, n_texts, size)
    sampled = [range(first + at, first + min(at + size, n_texts)) for at in starts]
    return [Batch(Decoding(), (0,)), *(Batch(sampling, tuple(seeds)) for seeds in sampled)]


def _write(seen: Seen, n_texts: int, n_tokens: int) -> Written:
    """Write what is missing, batch by batch; each batch is kept before the next one."""
    todo = batches(seen, n_texts, n_tokens)
    asked = [_question(seen, batch, n_tokens) for batch in todo]
    found = [_write_texts.kept(*one) for one in asked]
    if None in found and not part(Choices).stopped:
        with progress("Writing", len(todo) * n_tokens, "lm_head.texts.stop", _stop) as on_step:
            found = [
                _write_texts(
                    *one, on_value=lambda texts, at=at: on_step(at * n_tokens + longest(texts))
                )
                for at, one in enumerate(asked)
            ]
    greedy, *sampled = found
    return Written(greedy[0] if greedy else None, tuple(t for some in sampled for t in some or ()))


def _question(seen: Seen, batch: Batch, n_tokens: int) -> tuple:
    text = seen.asked.model_name, seen.prefix_ids
    return *text, batch.decoding, n_tokens, batch.seeds, seen.asked.interventions


def _stop() -> None:
    put({"lm_head.stopped": True})


def spread_sentence(greedy: Text | None, sampled: Sequence[Text]) -> str:
    """Say how different the texts are, and how much each repeats itself."""
    distinct = len({text.token_ids for text in sampled})
    first = len({text.token_ids[0] for text in sampled})
    repeats = float(np.mean([repetition(text.token_ids) for text in sampled]))
    share = 0.0 if greedy is None else repetition(greedy.token_ids)
    mine = f"greedy's repeats itself in {percent(round(share, 4))} of its token pairs, "
    return (
        f"**{distinct} different {plural(distinct, 'text')} of {len(sampled)}** by sampling, which "
        f"start with {counted(first, 'different token')}; greedy decoding has one. Within a text: "
        f"{'' if greedy is None else mine}the sampled ones on average in "
        f"{percent(round(repeats, 4))}."
    )


def repetition(token_ids: Sequence[int]) -> float:
    """Return the share of a text's token pairs that came before in it.

    seq-rep-n of Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training", with
    n = 2: one minus the unique pairs over all pairs.
    """
    pairs = list(pairwise(token_ids))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def table_of(
    seen: Seen, greedy: Text | None, sampled: Sequence[Text], letters: int | None = LETTERS
) -> pd.DataFrame:
    """Return the texts as a table, equal ones counted, the most frequent first."""
    found: dict[tuple[int, ...], list[Text]] = {}
    for text in sampled:
        found.setdefault(text.token_ids, []).append(text)
    same = sorted(found.values(), key=lambda texts: (-len(texts), -texts[0].total))
    rows = [("greedy", greedy, len(sampled))] if greedy is not None else []
    rows += [("sampling", texts[0], len(texts)) for texts in same]
    return pd.DataFrame(
        {
            "by": [by for by, _, _ in rows],
            "text": [shown_text(seen, text, letters) for _, text, _ in rows],
            "times": [times for _, _, times in rows],
            "bits": [surprise(text.total) for _, text, _ in rows],
            "repeats": [repetition(text.token_ids) for _, text, _ in rows],
        }
    )
