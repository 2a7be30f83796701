"""Where the numbers of a figure come from: the module that computed them, their shape and layer."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from model_hooks import HookedModel


def module_path(model: HookedModel, module: Any) -> str | None:
    """Return a module's path inside the model, such as `model.norm`; None if it is not there."""
    for path, candidate in model.model.named_modules():
        if candidate is module:
            return path
    return None


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
