"""Where do numbers come from that went from the middle of the model straight to its end?

The end, or tail, is everything after the last layer: the final norm and the LM head.
"""

import streamlit as st

from model_hooks import ModelInfo
from model_hooks.parts.abilities import Abilities


def read_from(
    info: ModelInfo, abilities: Abilities, *shape: int, blocks: str | None = None
) -> None:
    """Say where numbers come from that went from the residual stream through the model's tail.

    Args:
        info: The model's sizes.
        abilities: What is known of its modules.
        *shape: Of the vectors, without d_model.
        blocks: The path of the block whose stream it is; all of them by default.
    """
    first, last = abilities.layers[0].path, abilities.layers[-1].path
    steps = ["residual stream of " + (f"`{blocks}`" if blocks else f"`{first}` to `{last}`")]
    ends = (abilities.final_norm, abilities.lm_head)
    steps += [f"`{module.path}`" for module in ends if module is not None and module.path]
    st.caption(
        f":material/database: {' → '.join(steps)}, shape `{[*shape, info.d_model]} → "
        f"{[*shape, info.vocab_size]}`, softmax over all {info.vocab_size:,} tokens"
    )
