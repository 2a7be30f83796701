"""A list that asks for something once reports it once, and shows what is the case again."""

import pytest
from streamlit.testing.v1 import AppTest


def page(shown, refuses):
    import streamlit as st

    from pages.widgets.offer import offer

    state = st.session_state
    state.setdefault("at", shown)
    state.setdefault("asked", [])

    def take(letter):
        state.asked = [*state.asked, letter]
        if not refuses:
            state.at = letter

    offer(st.selectbox, "Go to", ["a", "b", "c"], take, key="letters", shown=state.at)
    st.button("other", key="other")


@pytest.fixture
def opened():
    def open_page(shown=None, refuses=False):
        return AppTest.from_function(page, args=(shown, refuses)).run()

    return open_page


def test_what_is_chosen_is_reported_once(opened):
    app = opened("a")
    app.selectbox[0].set_value(2).run()
    assert app.session_state["asked"] == ["c"]
    assert app.selectbox[0].value == 2
    app.button(key="other").click().run()
    assert app.session_state["asked"] == ["c"]


def test_a_list_that_shows_nothing_shows_nothing_again(opened):
    app = opened(refuses=True)
    for asked in (["b"], ["b", "b"]):
        app.selectbox[0].set_value(1).run()
        assert app.session_state["asked"] == asked
        assert app.selectbox[0].value is None


def test_what_was_refused_is_not_shown(opened):
    app = opened("a", refuses=True)
    app.selectbox[0].set_value(1).run()
    assert (app.session_state["asked"], app.selectbox[0].value) == (["b"], 0)


def test_choosing_what_is_shown_asks_for_nothing(opened):
    app = opened("a")
    app.selectbox[0].set_value(0).run()
    assert app.session_state["asked"] == []


def test_a_change_from_elsewhere_is_shown(opened):
    app = opened("a")
    app.session_state["at"] = "b"
    app.run()
    assert app.selectbox[0].value == 1
    assert app.session_state["asked"] == []
