"""Which keys may each query read under a pattern?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool

from model_hooks import AttentionPattern
from model_hooks.read.recorded import readable_window
from pages.ask.computed import computed
from pages.efficient_attention.subject import Subject
from pages.widgets.chart import chart
from pages.widgets.controls import current_position, pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.long_text import say_window, window_around
from viz import mask_cells, mask_picture

_readable = computed(readable_window)


def draw(subject: Subject, pattern: AttentionPattern) -> None:
    """Draw the mask, in one layer where layers differ."""
    info = subject.info
    heading("The mask")
    windows = {info.sliding_window[layer] for layer in info.attention_layers}
    differ = len(windows) > 1 or pattern.layers is not None
    if differ or any(one.acting_layers is not None for one in subject.asked.interventions):
        layer = pick_layer(info, only_attention=True)
        st.caption("Layers differ here: " * differ + "this is the mask of the layer chosen above.")
    else:
        layer = info.attention_layers[0]
        st.caption("The same in every layer and head.")
    n_tokens = len(subject.tokens)
    shown = window_around(n_tokens, current_position(n_tokens))
    own = _readable(*subject.asked, layer, shown.start, shown.stop)
    positions = np.arange(shown.start, shown.stop)
    left = own & pattern.lets_read(positions[:, None], positions)
    left = left if pattern.acts_in(layer) else own
    chart(
        drawing(mask_picture, mask_cells(own, left), subject.labels[shown], start=shown.start),
        key="efficient_mask",
        alt=f"Which keys each query may read in layer {layer}: {left.sum()} of {own.sum()} pairs",
    )
    say_window(shown, n_tokens)
    csv_button(lambda: table_of(own, left, subject.tokens[shown], shown.start), "attention_mask")


def table_of(
    own: Bool[np.ndarray, "pos pos"],
    left: Bool[np.ndarray, "pos pos"],
    tokens: Sequence[str],
    start: int = 0,
) -> pd.DataFrame:
    """Return a line per query and key that is not later, with what the masks say of it.

    `start` is the position of the first token.
    """
    query, key = np.nonzero(np.tri(len(own), dtype=bool))
    names = np.array(tokens, dtype=object)
    return pd.DataFrame(
        {
            "query": query + start,
            "query_token": names[query],
            "key": key + start,
            "key_token": names[key],
            "own_mask": own[query, key],
            "with_pattern": left[query, key],
        }
    )
