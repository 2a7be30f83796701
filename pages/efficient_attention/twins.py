"""Is a model with fewer KV heads better converted, or trained that way?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import InlookError, ShareKVHeads, bundled_models
from model_hooks.bundled import training_run
from model_hooks.host import Run
from model_hooks.read.attention_cost import kv_sharing
from model_hooks.read.recorded import encode, info_of
from pages.ask.computed import computed
from pages.ask.session import text_so_far
from pages.efficient_attention.loss import bits_of, mean_bits
from pages.efficient_attention.subject import MEASURED
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.quantity import BITS_PER_BYTE, CACHED, shown
from pages.widgets.run_whole import say_twins_run_whole
from viz import converted_and_trained

TWINS = ("twin-swiglu", "twin-gqa", "twin-mqa")
"""Multi-head, grouped, multi-query: alike in all else and trained alike."""
UNSEEN = "Unseen stories (bits per byte)"
TRAINED, CONVERTED = "trained that way", "converted by averaging"
NOT_BUNDLED = (
    "Inlook's small twins (multi-head, grouped and multi-query, trained alike) are not bundled in "
    "this copy, so only averaging can be shown."
)

_info_of = computed(info_of, says="Running the trained twins…")
_encode = computed(encode)
_sharing = computed(kv_sharing)


class Twin(NamedTuple):
    """A model as it is or converted, on the reader's prompt."""

    name: str
    """Of the model, also of the one that was converted."""
    n_kv_heads: int
    how: str
    n_parameters: int | None
    """None for what was converted here."""
    cache_per_token: int
    """Bytes, all layers together."""
    dtype: str
    """In which they are kept."""
    bits_per_byte: tuple[float, ...]
    """On stories that no twin had seen, where each seed ended; none of what was converted."""
    loss: float
    """On the prompt, in bits per token."""


def draw() -> None:
    """Compare converting a model with training one that way."""
    heading("Converted, or trained that way?")
    names = [name for name in TWINS if name in bundled_models()]
    if TWINS[0] not in names:
        st.caption(NOT_BUNDLED)
        return
    try:
        whole = _encode(names[0], text_so_far())
        token_ids = whole[: _info_of(names[0]).context_size]
        rows = twins_on(names, token_ids)
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/info:")
        return
    cut = f" (its first {len(token_ids)} of {len(whole)} tokens)"
    st.caption(
        f"{MEASURED} Small models that differ in their KV heads only, on your prompt"
        + cut * (len(token_ids) < len(whole))
        + ". One prompt is a small sample: the bits per byte of unseen stories are the fairer test."
    )
    say_twins_run_whole()
    kinds = kinds_of(rows)
    if len(token_ids) > 1:
        _picture(rows, kinds)
    _table(table_of(rows, kinds))


def twins_on(names: list[str], token_ids: tuple[int, ...]) -> list[Twin]:
    """Run a text through the twins as trained, and through the converted multi-head one.

    Raises:
        InlookError: A twin cannot be loaded, or the text cannot be run.
    """
    rows = [_trained(Run(name, token_ids)) for name in names]
    for trained in rows[1:]:
        change = ShareKVHeads(trained.n_kv_heads)
        loss = mean_bits(bits_of(Run(names[0], token_ids, (change,))))
        converted = {"name": names[0], "how": CONVERTED, "n_parameters": None, "loss": loss}
        rows.append(trained._replace(**converted, bits_per_byte=()))
    return rows


def _trained(asked: Run) -> Twin:
    sharing, run = _sharing(*asked), training_run(asked.model_name)
    info = _info_of(asked.model_name)
    return Twin(
        name=asked.model_name,
        n_kv_heads=sharing.sizes.n_kv_heads,
        how=TRAINED,
        n_parameters=info.n_parameters,
        cache_per_token=sharing.bytes_per_token,
        dtype=info.dtype,
        bits_per_byte=() if run is None else run.final_bits_per_byte,
        loss=mean_bits(bits_of(asked)),
    )


def kinds_of(rows: list[Twin]) -> dict[int, str]:
    """Name each number of KV heads, the largest first."""
    counts = sorted({row.n_kv_heads for row in rows}, reverse=True)

    def kind(n: int) -> str:
        return "multi-head" if n == counts[0] else "multi-query" if n == 1 else "grouped"

    return {n: f"{n} ({kind(n)})" for n in counts}


def _picture(rows: list[Twin], kinds: dict[int, str]) -> None:
    loss = {(row.n_kv_heads, row.how): row.loss for row in rows}
    chart(
        drawing(
            converted_and_trained,
            list(kinds.values()),
            [loss.get((n, CONVERTED)) for n in kinds],
            [loss.get((n, TRAINED)) for n in kinds],
            "loss on your prompt (bits per token)",
        ),
        key="efficient_twins",
        alt="Loss of models converted to fewer KV heads beside models trained that way",
        has_table=True,
    )


def table_of(rows: list[Twin], kinds: dict[int, str]) -> pd.DataFrame:
    """Return a line per twin."""
    return pd.DataFrame(
        {
            "KV heads": [kinds[row.n_kv_heads] for row in rows],
            "How": [row.how for row in rows],
            "Parameters": [row.n_parameters for row in rows],
            f"Cache per token (bytes, {rows[0].dtype})": [_cached(row) for row in rows],
            "Your prompt (bits per token)": [row.loss for row in rows],
            UNSEEN: [_mean(row) for row in rows],
            "Seeds": [len(row.bits_per_byte) or None for row in rows],
        }
    )


def _mean(row: Twin) -> float | None:
    """The mean over a twin's seeds; it is told as on Block architecture."""
    if not (ends := row.bits_per_byte):
        return None
    mean = float(np.mean(ends))
    shown(BITS_PER_BYTE, mean, row.name, len(ends))
    return mean


def _cached(row: Twin) -> int:
    if row.how == TRAINED:
        shown(CACHED, row.cache_per_token, row.name, 1, row.dtype)
    return row.cache_per_token


def _table(frame: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "Parameters": number(format="localized"),
            "Your prompt (bits per token)": number(format="%.3f"),
            UNSEEN: number(
                format="%.3f",
                help="Measured at the end of training, on stories that no twin had seen: the mean "
                "over all seeds (random starts), of which the bundled model is one. Block "
                "architecture shows how far they ended apart.",
            ),
        },
    )
    csv_button(frame, "kv_head_twins")
