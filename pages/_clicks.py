"""What a click on a Plotly chart reports."""

from typing import Any

import streamlit as st

from pages._selection import select


def clicked(key: str, field: str) -> int | None:
    """Return the number that a click on a chart reports, None if nothing is clicked.

    Args:
        key: The chart's key.
        field: Where the number is: `x`, `y` or `customdata`.
    """
    points: list[dict[str, Any]] = st.session_state[key]["selection"]["points"]
    value = points[0].get(field) if points else None
    return None if value is None else int(value[0] if isinstance(value, list) else value)


def pick_clicked_layer(key: str, field: str) -> None:
    """Look at the layer whose mark was clicked."""
    if (layer := clicked(key, field)) is not None:
        select(layer=layer)
