"""Who pays for a pattern? Which tokens are predicted worse, and in which layer it costs most."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import AttentionPattern
from pages.efficient_attention.loss import Losses, bits_of, mean_bits, with_change
from pages.efficient_attention.subject import MEASURED, Subject
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from viz import layer_losses, loss_changes
from viz.numbers import signed

MANY_LAYERS = 24
"""With more layers than this, trying one after the other shows how far it is."""


def draw(subject: Subject, pattern: AttentionPattern, name: str, found: Losses) -> None:
    """Draw what a pattern costs by token and, if asked for, by layer."""
    heading("Which tokens pay for it")
    st.caption(
        f"{MEASURED} Up, in hatched orange: the token became harder to predict. Down, in green: "
        "easier."
    )
    chart(
        drawing(loss_changes, found.before[1:], found.after[1:], subject.labels, f"with {name}"),
        key="efficient_loss_changes",
        alt=f"Added loss of each token of the prompt with {name}",
    )
    csv_button(lambda: table_of(subject, found), "pattern_losses")
    layers = pattern.layers or subject.info.attention_layers
    if len(layers) > 1 and bind(
        st.toggle,
        "Try it in one layer at a time",
        "efficient_attention.by_layer",
        help=f"Runs your prompt {len(layers)} more times, with the pattern in one layer each.",
    ):
        _one_layer_at_a_time(subject, pattern, layers, found)


def table_of(subject: Subject, found: Losses) -> pd.DataFrame:
    """Return a line per token but the first, with what it cost before and after."""
    return pd.DataFrame(
        {
            "pos": range(1, len(found.before)),
            "token": subject.tokens[1:],
            "bits_before": found.before[1:],
            "bits_after": found.after[1:],
        }
    )


def _one_layer_at_a_time(
    subject: Subject, pattern: AttentionPattern, layers: tuple[int, ...], found: Losses
) -> None:
    """Draw the loss with the pattern in each layer alone."""
    in_one = []
    progress = st.progress(0.0) if len(layers) > MANY_LAYERS else None
    for done, layer in enumerate(layers, 1):
        alone = with_change(subject.asked, replace(pattern, layers=(layer,)))
        in_one.append(mean_bits(bits_of(alone)))
        if progress:
            progress.progress(done / len(layers))
    if progress:
        progress.empty()
    before, together = found.means
    worst = int(np.argmax(in_one))
    st.caption(
        f"{MEASURED} Alone, it costs most in layer {layers[worst]} "
        f"({signed(in_one[worst] - before)} bits per token); in all of them together "
        f"{signed(together - before)}."
    )
    chart(
        drawing(layer_losses, layers, in_one, before, together),
        key="efficient_layer_losses",
        alt="Added loss with the pattern in one layer at a time",
    )
