"""The script of a visitor who is gone ends, but not that of one whose network stumbles."""

import secrets
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

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


def test_tabs_of_one_browser_are_one_person_and_others_are_their_address(connected, monkeypatch):
    monkeypatch.setattr(visitors, "get_script_run_ctx", lambda **_: object())
    who = SimpleNamespace(cookies={}, ip_address="93.184.216.34")
    monkeypatch.setattr(visitors, "st", SimpleNamespace(context=who))
    assert visitors.person() == "93.184.216.34"
    tokens = [secrets.token_bytes(16) for _ in range(2)]
    found = []
    for token in (tokens[0], tokens[0], tokens[1]):  # each is masked anew
        who.cookies = {visitors.COOKIE: generate_xsrf_token_string(token)}
        found.append(visitors.person())
    assert found[0] == found[1] != found[2]
    who.cookies = {visitors.COOKIE: "no such cookie"}
    assert visitors.person() == "93.184.216.34"


def test_without_a_server_nobody_is_gone():
    visitors.leave_if_gone()
    assert visitors.person() is None
    assert visitors.n_visitors() == 0
