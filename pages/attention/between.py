"""How differently do two runs read? One head of each subtracted, and which heads differ most."""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ComparisonError
from model_hooks.host import Run
from model_hooks.read.between import HeadsApart, heads_apart, on_places
from model_hooks.read.recorded import attention_window, tokens_of
from model_hooks.text.alignment import Places, both
from pages.ask.computed import computed
from pages.ask.pair import in_a, of_pair, places, runs
from pages.ask.session import info
from pages.attention.choices import Choices
from pages.state.visit import is_of_other, part, put, view
from pages.text import visible
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.controls import pick_head, pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.long_text import WHOLE_UP_TO
from viz import difference_heatmap, distance_bars, place_labels

MOST_PLACES = 160
N_HEADS = 12
"""Heads drawn of those that differ most."""
HELP = (
    "The attention weights of B minus those of A. Tokens of both texts that stand in one place "
    "share a row and a column; grey is what one of them may not read, or does not have."
)
HEADS_HELP = (
    "How much of its attention a head puts elsewhere: half the sum of the absolute differences of "
    "its weights (*total variation*), the mean over all queries that stand in both texts. 0%: it "
    "reads alike; 100%: nothing in common."
)

_attention = computed(attention_window)
_heads_apart = computed(heads_apart, says="Comparing all heads…")
_tokens_of = computed(tokens_of)


def head_looked_at() -> tuple[int, int | None]:
    """Return the layer and head of the run that is looked at: A may have one of its own."""
    if not is_of_other():
        return view().layer, view().head
    if chosen := part(Choices).head_of_a:
        layer, head = chosen.split(".")
        return int(layer), int(head)
    return pick_layer(info(), only_attention=True), pick_head(info(), mean=True)


def pick_head_of_a() -> None:
    """Let the reader choose another head for A than for B."""
    with in_a():
        of_a = info()
    heads = [f"{layer}.{head}" for layer in of_a.attention_layers for head in range(of_a.n_heads)]
    bind(
        st.selectbox,
        "Head of A",
        "attention.head_of_a",
        options=["", *heads],
        format_func=lambda one: (
            "layer {}, head {}".format(*one.split(".")) if one else "the same as of B"
        ),
        help="Put one head of A beside another one of B.",
        width=240,
    )


def draw() -> None:
    """Draw B - A of the chosen heads, and which heads differ most.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    found_places, shown = places(), _places_shown()
    _draw_difference(found_places[shown], shown.start)
    is_long = max(len(run.token_ids) for run in runs()) > WHOLE_UP_TO
    compared = both(found_places[shown] if is_long else found_places)
    found: HeadsApart = of_pair(_heads_apart, compared)
    heading("Which heads differ most?", help=HEADS_HELP)
    frame = table_of(found)
    most = frame.head(N_HEADS)
    ids = [int(layer) * found.distance.shape[1] + int(head) for layer, head in _heads_in(most)]
    chart(
        drawing(
            distance_bars,
            [f"layer {layer}, head {head}" for layer, head in _heads_in(most)],
            most["distance"].to_numpy(),
            ids,
            "attention that lies elsewhere",
        ),
        key="attention_heads_apart",
        alt="The heads whose attention differs most between A and B",
        on_click=lambda bar: _open(divmod(int(bar.customdata), found.distance.shape[1])),
    )
    queries = f" Compared at the {len(compared)} places that are shown above." if is_long else ""
    st.caption(f"A click opens the head; so do **Layer** and **Head** above.{queries}")
    csv_button(frame, "heads_a_b")


def table_of(found: HeadsApart) -> pd.DataFrame:
    """Return all heads, those that differ most first."""
    n_layers, n_heads = found.distance.shape
    frame = pd.DataFrame(
        {
            "layer": np.repeat(found.layers, n_heads),
            "head": np.tile(np.arange(n_heads), n_layers),
            "distance": found.distance.ravel(),
        }
    )
    return frame.sort_values("distance", ascending=False, kind="stable", ignore_index=True)


def _places_shown() -> slice:
    """Return which places are drawn: those around the chosen token."""
    found, n_tokens = places(), len(runs()[1].token_ids)
    chosen = n_tokens - 1 if view().pos is None else view().pos
    at = next((i for i, place in enumerate(found) if place.b == chosen), 0)
    first = max(0, min(at - MOST_PLACES // 2, len(found) - MOST_PLACES))
    return slice(first, first + MOST_PLACES)


def _read(of: Run, head: tuple[int, int | None], positions: list[int | None]) -> np.ndarray:
    """Return a head's attention weights by places."""
    there = [pos for pos in positions if pos is not None]
    start, stop = (min(there), max(there) + 1) if there else (0, 1)
    weights = _attention(*of, *head, start, stop)
    return on_places(weights, [None if pos is None else pos - start for pos in positions])


def _draw_difference(shown: Places, first: int) -> None:
    of_a, of_b = _heads()
    a, b = runs()
    difference = _read(b, of_b, [p.b for p in shown]) - _read(a, of_a, [p.a for p in shown])
    tokens = [_tokens_of(one.model_name, one.token_ids) for one in (a, b)]
    labels = place_labels(
        [None if p.a is None else visible(tokens[0][p.a]) for p in shown],
        [None if p.b is None else visible(tokens[1][p.b]) for p in shown],
        first,
    )
    names = [f"layer {layer}, {_name(head)}" for layer, head in _heads()]
    same = names[0] == names[1]
    heading(f"B - A, {names[1]}" if same else f"B ({names[1]}) - A ({names[0]})", help=HELP)
    chart(
        drawing(
            difference_heatmap,
            difference,
            rows=labels,
            columns=labels,
            row_title="query: who reads",
            column_title="key: what is read",
            measure="attention weight",
            shares=False,
        ),
        key="attention_difference",
        alt=f"Attention weights of B minus those of A, {names[1]}",
    )
    csv_button(lambda: difference_table(difference, labels), "attention_b_minus_a")


def difference_table(
    difference: Float[np.ndarray, "place place"], labels: list[str]
) -> pd.DataFrame:
    """Return the difference with one line per query and key, for download."""
    query, key = np.nonzero(np.isfinite(difference))
    names = np.array(labels, dtype=object)
    return pd.DataFrame(
        {"query": names[query], "key": names[key], "b_minus_a": difference[query, key]}
    )


def _heads() -> tuple[tuple[int, int | None], tuple[int, int | None]]:
    """The layer and head of A, and those of B, where one stands for the other or was chosen to."""
    own = info()
    with in_a():
        head_of_a, of_a = head_looked_at(), info()
    alike = (own.attention_layers, own.n_heads) == (of_a.attention_layers, of_a.n_heads)
    if not alike and not part(Choices).head_of_a:
        raise ComparisonError(
            f"A has {len(of_a.attention_layers)} layers of {of_a.n_heads} heads and B "
            f"{len(own.attention_layers)} of {own.n_heads}: no head of one stands for one of the "
            "other. Choose a **Head of A** to subtract."
        )
    return head_of_a, head_looked_at()


def _heads_in(frame: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(frame["layer"].tolist(), frame["head"].tolist(), strict=True))


def _name(head: int | None) -> str:
    return "mean of all heads" if head is None else f"head {head}"


def _open(picked: tuple[int, int]) -> None:
    put({"layer": picked[0], "head": picked[1], "attention.head_of_a": ""})
