"""A figure's data as a file."""

from collections.abc import Callable

import pandas as pd
import streamlit as st


def csv_button(frame: pd.DataFrame | Callable[[], pd.DataFrame], name: str) -> None:
    """Offer a table as a CSV file, made only when somebody asks for it.

    Args:
        frame: The figure's numbers, one line per mark; or a function that collects them, called
            when somebody asks for the file.
        name: The file's name without its ending, and the button's key.
    """
    st.download_button(
        "Data as CSV",
        lambda: (frame() if callable(frame) else frame).to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        key=f"{name}.csv",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )
