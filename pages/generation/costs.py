"""What did each step take?"""

import streamlit as st

from pages.ask.draft import Draft
from pages.text import visible
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from viz import step_costs
from viz.numbers import counted


def draw(draft: Draft) -> None:
    """Draw positions computed, time and the size of the cache, step by step."""
    steps = draft.steps
    chart(
        drawing(
            step_costs,
            [visible(step.token) for step in steps],
            [step.rows_computed for step in steps],
            [step.seconds for step in steps],
            [step.cache_bytes for step in steps],
        ),
        key="generation.costs",
        alt=f"Positions computed, time and cache size of {counted(len(steps), 'step')}",
    )
    st.caption(
        "The first step computes the whole prompt. With the KV cache on, each later step computes "
        "one position and the cache grows; with it off, each step computes all of them again. "
        "Each time was measured once, on this machine, beside all else that it does: the KV cache "
        "page repeats such runs and gives their spread."
    )
