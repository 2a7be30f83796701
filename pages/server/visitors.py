"""Who is the visitor for whom this script runs, and are they still there?"""

import time

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string

GRACE_S = 5.0
"""A connection that breaks for no longer, as on a bad network, is as good as one that holds."""

COOKIE = "_streamlit_xsrf"
"""Streamlit gives it to each browser, so that all tabs of one have the same."""
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


def person() -> str | None:
    """Return what tells one visitor's tabs from those of others; None where nobody can tell.

    That is the browser's cookie, since a class often shares one address; the address for what has
    none. Nothing is kept of it once the answer is there.
    """
    if get_script_run_ctx(suppress_warning=True) is None or not Runtime.exists():
        return None
    token, _ = decode_xsrf_token_string(st.context.cookies.get(COOKIE, ""))
    address = st.context.ip_address
    if token:
        return token.hex()
    return address if isinstance(address, str) else None  # a test's runtime says something else


def n_visitors() -> int:
    """Return how many tabs are connected."""
    return Runtime.instance()._session_mgr.num_active_sessions() if Runtime.exists() else 0
