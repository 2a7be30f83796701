"""Stage 2: which vector does a token become?"""

import numpy as np
import streamlit as st
from jaxtyping import Float

from pages.forward_pass.seen import Seen
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from viz import color_limit, vector_strip

POSITION_NOTES = {
    "rope": "It does not say yet *where* the token stands: this model tells that inside attention, "
    "by rotating queries and keys (RoPE).",
    "learned": "The place in the text is already in it: this model adds a learned vector for each "
    "position.",
    "sinusoidal": "The place in the text is already in it: this model adds a pattern of sine "
    "waves for each position.",
    "alibi": "It does not say *where* the token stands: this model lowers attention to far tokens "
    "instead (ALiBi).",
}


def draw(seen: Seen) -> None:
    """Draw the chosen token's vector as it enters the first block."""
    vector, table = seen.embedding[seen.pos], seen.abilities.embedding
    token_id = seen.asked.token_ids[seen.pos]
    st.markdown(
        f"Each ID is swapped for its row of a big table: a **vector** of {len(vector):,} numbers "
        f"that were learned in training. This is the vector of token {seen.pos}, {seen.token} "
        f"(row {token_id:,}), as it enters the first block."
    )
    chart(
        drawing(vector_strip, vector, limit=color_limit(seen.embedding)),
        key="forward.embedding",
        alt=f"The {len(vector)} numbers of the embedding of token {seen.pos}, one cell each",
    )
    note = POSITION_NOTES.get(seen.info.position, "")
    st.markdown(f"It begins with {first_numbers(vector)}. {note}")
    numbers_from(seen.abilities.layers[0].path, seen.embedding.shape, "input", layer=0)
    if table.shape:
        st.caption(f":material/table: the table is `{table.path}`, shape `{list(table.shape)}`")


def first_numbers(vector: Float[np.ndarray, "d"], count: int = 4) -> str:
    """Write a vector's first numbers as code."""
    shown = ", ".join(f"{value:.3f}" for value in vector[:count])
    return f"`[{shown}{', …' if len(vector) > count else ''}]`"
