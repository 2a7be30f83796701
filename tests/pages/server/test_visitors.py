"""The script of a visitor who is gone ends, but not that of one whose network stumbles."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from pages.server import visitors


@pytest.fixture
def connected(monkeypatch):
    """Let a runtime say whether the visitor is connected; return what to set."""
    said = SimpleNamespace(is_there=True)
    runtime = SimpleNamespace(is_active_session=lambda session: said.is_there)
    fake = SimpleNamespace(exists=lambda: True, instance=lambda: runtime)
    monkeypatch.setattr(visitors, "Runtime", fake)
    return said


def script():
    import streamlit as st

    from pages.server.visitors import leave_if_gone

    leave_if_gone()
    st.write("still here")


def still_here(app):
    return [one.value for one in app.run().markdown] == ["still here"]


def test_a_script_ends_a_while_after_its_visitor_is_gone(connected, monkeypatch):
    app = AppTest.from_function(script)
    assert still_here(app)
    connected.is_there = False
    assert still_here(app)
    monkeypatch.setattr(visitors, "GRACE_S", -1.0)
    assert not still_here(app)
    connected.is_there = True
    assert still_here(app)


def test_without_a_server_nobody_is_gone():
    visitors.leave_if_gone()
    assert visitors.n_visitors() == 0
