"""Mean attention patterns of all layers, computed once per prompt."""

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks.read.patterns import mean_over_heads
from pages.ask.session import trace_of

KEPT_WHOLE = 512
"""From this many tokens on, heads are added up one at a time: together they fill memory."""


@st.cache_resource(max_entries=4, show_spinner="Looking at all layers…")
def mean_patterns(
    model_name: str, token_ids: tuple[int, ...]
) -> list[Float[np.ndarray, "pos pos"] | None]:
    """Return each layer's attention pattern, the mean over its heads; None without attention."""
    trace = trace_of(model_name, token_ids)
    patterns: list[np.ndarray | None] = [None] * trace.n_layers
    for layer in trace.attention_layers:
        if len(token_ids) < KEPT_WHOLE:
            patterns[layer] = mean_over_heads(trace.attention(layer))
        else:
            heads = (trace.attention(layer, head) for head in range(trace.n_heads))
            patterns[layer] = sum(heads) / trace.n_heads
    return patterns
