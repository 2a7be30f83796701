"""Which key presses a button of one page? None, where the reader has switched letters off.

    st.button("Next tile", shortcut=shortcut("J"), ...)

The letters N, B, G and E belong to the text bar, on every page (`pages/shell/keys.py`).
"""

from pages.state.visit import view


def shortcut(key: str) -> str | None:
    """Return the key for `st.button`, as long as single letters are commands."""
    return key if view().keys else None
