"""Where do the numbers of a figure come from? The module that computed them, shape and layer."""

from collections.abc import Sequence

import streamlit as st


def numbers_from(
    path: str | None, shape: Sequence[int], what: str = "output", layer: int | None = None
) -> None:
    """Write one small line under a figure: the module, the shape and the layer of its numbers.

    Args:
        path: The module's path; None where the numbers are not one module's.
        shape: The shape of the whole array that the figure shows (a part of).
        what: What of the module it is, such as `output` or `input`.
        layer: The layer it belongs to.
    """
    where = f"{what} of `{path}`" if path else what
    at = "" if layer is None else f", layer {layer}"
    st.caption(f":material/database: {where}, shape `{list(shape)}`{at}")
