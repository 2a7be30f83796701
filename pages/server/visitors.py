"""Is the visitor still there for whom this script runs?"""

import time

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

GRACE_S = 5.0
"""A connection that breaks for no longer, as on a bad network, is as good as one that holds."""

_GONE_SINCE = "visitors.gone_since"


def leave_if_gone() -> None:
    """End the script if its visitor closed the tab a while ago; nobody would see what it does."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or not Runtime.exists():
        return
    if Runtime.instance().is_active_session(context.session_id):
        st.session_state.pop(_GONE_SINCE, None)
        return
    since = st.session_state.setdefault(_GONE_SINCE, time.monotonic())
    if time.monotonic() - since > GRACE_S:
        st.stop()


def n_visitors() -> int:
    """Return how many tabs are connected."""
    return Runtime.instance()._session_mgr.num_active_sessions() if Runtime.exists() else 0
