"""Which keys do something on every page, and can they be switched off?"""

import streamlit as st

from pages.widgets.bind import bind

KEYS = {
    "N": "write one token",
    "B": "take the last token back",
    "Shift + B": "go back to the prompt",
    "G": "write many tokens; stop",
    "E": "edit the prompt",
}


def draw_keys() -> None:
    """List the keys, with a switch."""
    with st.popover("Keys", icon=":material/keyboard:", width="stretch"):
        bind(
            st.toggle,
            "Single letters are commands",
            "keys",
            everywhere=True,
            help="Switch this off if your screen reader or another program uses these keys.",
        )
        rows = "\n".join(f"| `{key}` | {does} |" for key, does in KEYS.items())
        st.markdown(f"| Key | What it does |\n|---|---|\n{rows}")
        st.caption("A key of one page alone is named on the button it presses.")
