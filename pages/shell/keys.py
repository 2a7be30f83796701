"""Which keys do something on every page, and can they be switched off?"""

import streamlit as st

from pages.state.mailbox import reported
from pages.state.visit import put, redraw_window, uses, view
from pages.widgets.bind import bind
from pages.widgets.components import component

KEYS = {
    "N": "write one token",
    "B": "take the last token back",
    "Shift + B": "go back to the prompt",
    "G": "write many tokens; stop",
    "E": "edit the prompt",
    "L": "next step of a lesson",
    "Shift + L": "step before it",
    "F": "full screen, and back",
    "P": "view for a projector, and back; there, Page Down and Page Up turn the steps of a lesson",
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
        bind(
            st.toggle,
            "Projector",
            "present",
            everywhere=True,
            help="Large letters, and nothing around the page.",
        )
        rows = "\n".join(f"| `{key}` | {does} |" for key, does in KEYS.items())
        st.markdown(f"| Key | What it does |\n|---|---|\n{rows}")
        st.caption("A key of one page alone is named on the button it presses.")


_hear = component("shell_keys", is_figure=False)


def hear_keys() -> None:
    """Hear the keys that are about the window; draws nothing."""
    uses("keys", "present")
    _hear(
        key="shell_keys",
        data={"keys": view().keys, "present": view().present},
        on_present_change=_present,
    )


def _present() -> None:
    if (told := reported("shell_keys", "present")) is not None:
        put(present=bool(told))
        redraw_window()


def leave_projector() -> None:
    """Draw what leads out of the view for a projector, for those who use no keys."""
    if view().present:
        st.button(
            "",
            key="present.off",
            icon=":material/close_fullscreen:",
            help="Leave the view for a projector (key P).",
            type="tertiary",
            on_click=put,
            kwargs={"present": False},
        )
