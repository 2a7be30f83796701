"""A figure's data as a file."""

from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pandas as pd
import streamlit as st

from pages.state.visit import is_of_other, keyed

_BEGINS_A_FORMULA = frozenset("=+-@\t\r")
"""For a spreadsheet, in their wide forms too."""


def csv_button(frame: pd.DataFrame | Callable[[], pd.DataFrame], name: str) -> None:
    """Offer a table as a CSV file, made only when somebody asks for it.

    Args:
        frame: The figure's numbers, one line per mark; or a function that collects them, called
            when somebody asks for the file.
        name: The file's name without its ending, and the button's key.
    """
    key = keyed(f"{name}.csv")
    st.download_button(
        "Data as CSV",
        lambda: csv_of(frame() if callable(frame) else frame),
        f"{name}_a.csv" if is_of_other() else f"{name}.csv",
        "text/csv",
        key=key,
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )


def csv_of(frame: pd.DataFrame) -> str:
    """Write a table as CSV (RFC 4180) that a spreadsheet opens as text and numbers only.

    A text that a spreadsheet would compute begins with an apostrophe, which it does not show.
    """
    plain = frame.rename(columns=_as_text)
    for name in plain.select_dtypes(exclude="number"):
        cells = [_as_text(cell) for cell in plain[name]]
        plain[name] = pd.Series(cells, plain.index, dtype=object)
    return plain.to_csv(index=False, lineterminator="\r\n")


def _as_text(cell: Any) -> Any:
    if isinstance(cell, str) and normalize("NFKC", cell[:1]) in _BEGINS_A_FORMULA:
        return f"'{cell}"
    return cell
