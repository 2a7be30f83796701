"""How open is the choice at every temperature?"""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks.read.choice import entropies_after
from pages.ask.computed import computed
from pages.lm_head.seen import Seen, greedy_note, settings_of
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz import entropy_by_temperature
from viz.numbers import bits, fair_draw

HELP = (
    "**Entropy** says how undecided the choice is, in bits (Shannon 1948). 0 bits: one token is "
    "certain. Each bit more doubles the number of equally good candidates. Temperature divides "
    "all scores: a low one makes differences larger, a high one makes them smaller."
)
TEMPERATURES = tuple(np.round(np.linspace(0.1, 2.0, 39), 2).tolist())

_entropies_after = computed(entropies_after)


def draw(seen: Seen) -> None:
    """Draw the entropy of this choice at every temperature."""
    greedy_note(seen)
    sampling, n_tokens = seen.sampling, len(seen.logits)
    entropy = seen.sampling_stages[-1].entropy_bits
    curves = replace(sampling, temperature=1.0, seed=0)
    free, filtered = _entropies_after(*seen.asked, curves, TEMPERATURES, seen.pos)
    filters = settings_of(sampling)
    chart(
        drawing(
            entropy_by_temperature,
            np.array(TEMPERATURES),
            free,
            filtered if filters else None,
            temperature=sampling.temperature,
            entropy=entropy,
            n_tokens=n_tokens,
            filters=filters,
        ),
        key="lm_head_entropy",
        alt=f"Entropy against temperature; now {bits(entropy)}",
    )
    st.caption(
        f"Computed from these {n_tokens:,} logits at {len(TEMPERATURES)} temperatures. "
        f"Now: temperature {sampling.temperature:g}, {bits(entropy)}, as open as a "
        f"fair draw among {fair_draw(entropy)}."
    )
    columns = {"temperature": TEMPERATURES, "entropy_bits": free, "with_filters": filtered}
    csv_button(lambda: pd.DataFrame(columns), "entropy")
