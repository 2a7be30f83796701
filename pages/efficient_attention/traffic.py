"""How many bytes do standard and tiled attention move to and from slow memory?"""

from typing import NamedTuple

import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.read.flash import standard_accesses, tile_sizes, tiled_accesses
from pages.efficient_attention.subject import ARITHMETIC, Subject
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz import memory_traffic
from viz.numbers import counted, percent_change, size_text

SRAM_SIZES = tuple(2**power * 1024 for power in range(2, 9))
LENGTHS = tuple(2**power for power in range(5, 18))


class Traffic(NamedTuple):
    """Bytes moved for one head."""

    standard: int
    tiled: int


def draw(subject: Subject) -> None:
    """Count the bytes for a size of fast memory that the reader chooses."""
    info, n_tokens = subject.info, len(subject.tokens)
    sram = bind(
        st.select_slider,
        "Fast memory (SRAM) for one head",
        "efficient_attention.sram",
        options=SRAM_SIZES,
        format_func=lambda n: f"{n // 1024} KiB",
        help="An A100 GPU has 192 KB in each of its 108 multiprocessors (Dao et al. 2022, 2.1).",
    )
    rows, columns = tile_sizes(info.d_head, sram // info.bytes_per_number)
    here = traffic_at(n_tokens, info, columns)
    _numbers(n_tokens, (rows, columns), here)
    at = [traffic_at(n, info, columns) for n in LENGTHS]
    chart(
        drawing(
            memory_traffic, LENGTHS, [t.standard for t in at], [t.tiled for t in at], n_tokens, here
        ),
        key="efficient_traffic",
        alt=f"Bytes moved by standard ({size_text(here.standard)} here) and tiled "
        f"({size_text(here.tiled)} here) attention against the length of the text",
    )
    if here.tiled > here.standard:
        st.info(
            "On a text this short, tiling moves more: the matrix of scores is no larger than the "
            "queries and keys it is made of. It pays as the text grows.",
            icon=":material/info:",
        )
    st.caption(
        f"{ARITHMETIC} One head of width d = {info.d_head} in {info.dtype}, all pairs counted (no "
        "mask saves anything). Dao et al. 2022, Algorithms 0 and 1: standard attention moves "
        "4nd + 4n² numbers; tiled attention 3nd + 2n + T_c (3nd + 4n), with T_c = ceil(n / B_c) "
        "tiles of keys, which is of the order n²d²/M (Theorem 2)."
    )
    csv_button(lambda: table_of(at), "memory_traffic")


def traffic_at(n_tokens: int, info: ModelInfo, columns: int) -> Traffic:
    """Return what a text of some length moves, with so many keys per tile."""
    numbers = (
        standard_accesses(n_tokens, info.d_head),
        tiled_accesses(n_tokens, info.d_head, columns),
    )
    return Traffic(*(n * info.bytes_per_number for n in numbers))


def table_of(at: list[Traffic]) -> pd.DataFrame:
    """Return a line per length."""
    return pd.DataFrame(
        {
            "n_tokens": LENGTHS,
            "standard_bytes": [t.standard for t in at],
            "tiled_bytes": [t.tiled for t in at],
        }
    )


def _numbers(n_tokens: int, tile: tuple[int, int], here: Traffic) -> None:
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Tile",
            f"{tile[0]} x {tile[1]}",
            width="content",
            help="Queries x keys: B_c = M / 4d, B_r = min(B_c, d), for M numbers of fast memory.",
        )
        st.metric(
            f"Standard, {counted(n_tokens, 'token')}",
            size_text(here.standard),
            width="content",
            help="4nd + 4n² numbers: the scores and the weights are each written and read back.",
        )
        st.metric(
            f"Tiled, {counted(n_tokens, 'token')}",
            size_text(here.tiled),
            percent_change(here.tiled / here.standard - 1),
            delta_color="inverse",
            width="content",
            help="3nd + 2n + ceil(n / B_c) (3nd + 4n) numbers.",
        )
