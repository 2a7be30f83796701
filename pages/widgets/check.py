"""The line under a picture that says whether two independent ways to a number agree."""

import streamlit as st

TOLERANCE = 1e-4
"""Largest difference, in parts of what is compared, that rounding explains in float32. Two ways to
one number add up the same terms in another order, over thousands of terms."""
COARSE_TOLERANCE = 3e-2
"""The same for a model that computes in a 16-bit type."""


def agree(difference: float, scale: float = 1.0, dtype: str = "float32") -> bool:
    """Tell whether a difference is mere rounding.

    Args:
        difference: The largest absolute difference of what is compared.
        scale: The size of what is compared; probabilities and weights have 1.
        dtype: The type that the model computes in.
    """
    exact = dtype in ("float32", "float64")
    return bool(difference <= (TOLERANCE if exact else COARSE_TOLERANCE) * max(scale, 1.0))


def check_text(holds: bool, well: str, badly: str | None = None) -> str:
    """Return the line: what was compared with what, and by how much they differ.

    Args:
        holds: Whether the two agree.
        well: What to say if they do.
        badly: What to say if they do not; the same by default.
    """
    if holds:
        return f":green[:material/check_circle:] Checked: {well}"
    return f":orange[:material/warning:] Not equal: {badly or well}"


def check(holds: bool, well: str, badly: str | None = None) -> None:
    """Draw the line of `check_text`."""
    st.caption(check_text(holds, well, badly))
