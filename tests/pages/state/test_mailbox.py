"""What is asked for once is got once."""

from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from pages.state.mailbox import Message

message = Message("n")
st.session_state.setdefault("got", [])
st.session_state["got"].append((message.waits, message.take(), message.take()))
st.button("Leave", on_click=message.leave, args=(3,))
st.button("Leave nothing", on_click=message.leave, args=(0,))
"""


def test_a_message_is_taken_once():
    app = AppTest.from_string(SCRIPT).run()
    app.button[0].click().run()
    app.run()
    assert not app.exception
    assert app.session_state["got"] == [(False, None, None), (True, 3, None), (False, None, None)]


def test_zero_is_a_message_too():
    app = AppTest.from_string(SCRIPT).run()
    app.button[1].click().run()
    assert app.session_state["got"][-1] == (True, 0, None)
