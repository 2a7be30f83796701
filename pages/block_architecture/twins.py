"""The twins, one choice at a time: what does each choice cost, and how well does it do?"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.bundled import TrainingRun, bundled_sizes, cache_bytes_per_token
from model_hooks.experiments.speed import measure_speed
from pages.ask.computed import computed
from pages.block_architecture import trained, twin_pair
from pages.block_architecture.choices import Choices
from pages.state.visit import part, put
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import CACHED, shown
from viz import final_losses
from viz.numbers import three_digits

HELP = (
    "The **twins** are small models that were trained on the same text in the same order for the "
    "same number of steps. Each differs from one other in a single choice, so the gap between the "
    "two is due to that choice, or to chance: several **seeds** (other random starts) show how "
    "much chance does. **Bits per byte** tell how surprised a model is by stories it never read: "
    "fewer are better."
)
KEPT_AS = "float32"
"""How numbers are kept where a twin runs here, if there is memory for it."""
CACHE = f"cache bytes per token ({KEPT_AS})"
VIEWS = {"table": "All twins", "pair": "Two side by side"}
SPEED_IDS = tuple(i % 100 + 100 for i in range(128))
"""The text that speed is measured on: which tokens it holds does not matter."""
N_READ, N_WRITTEN = 32, 5
"""Writing begins after so many of them, and goes on for so many tokens."""
N_ROUNDS = 7

_speed = computed(measure_speed)


class Pace(NamedTuple):
    """How fast a twin is on this computer."""

    reading_ms: Float[np.ndarray, "round"]
    """To read `SPEED_IDS`."""
    tokens_per_second: Float[np.ndarray, "round"]


def draw() -> None:
    """Draw the tab: the table of all twins, or two of them side by side."""
    known = trained.twins()
    if not known:
        st.info(trained.NO_TWINS, icon=":material/info:")
        return
    shown = bind(
        st.segmented_control,
        "Show",
        "block_architecture.twins",
        options=[*VIEWS],
        format_func=VIEWS.__getitem__,
        required=True,
    )
    if shown == "pair":
        twin_pair.draw(known)
        return
    table = table_of(known)
    _draw_table(table, known)
    _draw_spread(known)
    csv_button(table, "twins")


def table_of(known: Sequence[TrainingRun]) -> pd.DataFrame:
    """List the twins: choice, size, loss over seeds, and bytes of cache."""
    sizes = {model.name: model.n_parameters for model in bundled_sizes()}
    bundled = set(trained.names_of_bundled())
    bits = [trained.final_bits(twin.name) for twin in known]
    return pd.DataFrame(
        {
            "model": [twin.name for twin in known],
            "its one change": [twin.change for twin in known],
            "compared with": [twin.compared_with or "" for twin in known],
            "bits per byte": [
                trained.mean_of(values, twin.name) for values, twin in zip(bits, known, strict=True)
            ],
            "seeds": [trained.seeds_of(values) for values in bits],
            "parameters": [sizes.get(twin.name) for twin in known],
            CACHE: [_cached(twin.name) if twin.name in bundled else None for twin in known],
        }
    )


def _cached(name: str) -> int:
    n_bytes = cache_bytes_per_token(name, KEPT_AS)
    shown(CACHED, n_bytes, name, 1, KEPT_AS)
    return n_bytes


def _draw_table(table: pd.DataFrame, known: Sequence[TrainingRun]) -> None:
    counts = {column: _grouped(table[column].to_list()) for column in ("parameters", CACHE)}
    bundled = trained.names_of_bundled()
    is_measured = bool(bundled) and part(Choices).speed
    paces = _paces(bundled) if is_measured else {}
    st.table(table.assign(**counts, **_pace_columns(known, paces)).set_index("model"))
    if not bundled:
        st.info(trained.NO_TWINS, icon=":material/info:")
    elif is_measured:
        st.caption(
            f"Speed: median of {N_ROUNDS} rounds, all twins in turns, and between which times they "
            "lay, on this computer with everything else it has to do; read differences below a "
            "tenth as none."
        )
    else:
        st.button(
            "Measure their speed on this computer",
            key="block_architecture.measure_speed",
            icon=":material/timer:",
            on_click=put,
            kwargs={"block_architecture.speed": True},
        )


def _grouped(counts: Sequence[float | None]) -> list[str]:
    """Write counts with commas; nothing where there is none."""
    return [f"{n:,.0f}" if n and n > 0 else "" for n in counts]


def _pace_columns(known: Sequence[TrainingRun], paces: dict[str, Pace]) -> dict[str, list[str]]:
    if not paces:
        return {}
    found = [paces.get(twin.name) for twin in known]
    return {
        "reads 128 tokens in (ms)": [spread(pace.reading_ms) if pace else "" for pace in found],
        "writes tokens per second": [
            spread(pace.tokens_per_second) if pace else "" for pace in found
        ],
    }


def _paces(names: Sequence[str]) -> dict[str, Pace]:
    """Measure how fast models read and write, in turns; the first round warms up."""
    with st.spinner("Measuring…"):
        rounds = [
            {name: _speed(name, SPEED_IDS, N_READ, N_WRITTEN, round_id) for name in names}
            for round_id in range(N_ROUNDS + 1)
        ][1:]
    return {
        name: Pace(
            np.array([1e3 * one[name].reading for one in rounds]),
            np.array([1 / statistics.median(one[name].steps) for one in rounds]),
        )
        for name in names
    }


def spread(values: Float[np.ndarray, "round"]) -> str:
    """Write the median of what several rounds gave, and between which numbers they lie."""
    low, middle, high = (three_digits(of(values)) for of in (np.min, np.median, np.max))
    return f"{middle} ({low} to {high})"


def _draw_spread(known: Sequence[TrainingRun]) -> None:
    found = {twin.name: bits for twin in known if len(bits := trained.final_bits(twin.name))}
    if not found:
        st.info(trained.NO_CURVES, icon=":material/info:")
        return
    chart(
        drawing(final_losses, list(found), list(found.values()), measure=trained.MEASURE),
        key="block_architecture.spread",
        alt="Where every seed of every twin ended, in bits per byte",
    )
    shape = (len(found), max(map(len, found.values())))
    numbers_from(None, shape, f"the ends of all seeds in {trained.SOURCE}")
